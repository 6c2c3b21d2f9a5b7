//! The price list: a PDF of one page, set in two of the fonts every reader has.

use std::fmt::Write as _;

/// What stands on the page, with its price.
const LINES: [(&str, &str); 5] = [
    ("Teapot, one litre", "34.00"),
    ("Mug with a heart", "12.50"),
    ("Spring tulips, ten stems", "19.90"),
    ("Potted plant", "18.00"),
    ("Two hours of watering", "22.00"),
];

/// The whole file: six objects, their offsets, a trailer.
pub(crate) fn price_list() -> Vec<u8> {
    let page = page();
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 310] /Contents 4 0 R /Resources << /Font << /Bold 5 0 R /Plain 6 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        writeln!(table, "{:010} 00000 n ", file.len()).expect("a string takes all that is written");
        writeln!(file, "{number} 0 obj\n{object}\nendobj").expect("a string takes all that is written");
    }
    let table_at = file.len();
    let size = objects.len() + 1;
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table_at}\n%%EOF\n");
    [file, table, trailer].concat().into_bytes()
}

/// The page's drawing operators: a coral band with the title, then the lines, each underlined.
fn page() -> String {
    let mut page = "1 0.45 0.42 rg 0 200 420 110 re f\n\
        1 1 1 rg BT /Bold 30 Tf 40 248 Td (Spring price list) Tj ET\n\
        BT /Plain 12 Tf 40 224 Td (Valid until the tulips are gone) Tj ET\n\
        0.12 0.31 0.37 rg 0.85 0.9 0.88 RG\n"
        .to_owned();
    for (row, (name, price)) in (0..).zip(LINES) {
        let y = 164 - row * 32;
        writeln!(page, "BT /Plain 14 Tf 40 {y} Td ({name}) Tj ET").expect("a string takes all that is written");
        writeln!(page, "BT /Bold 14 Tf 342 {y} Td ({price}) Tj ET").expect("a string takes all that is written");
        writeln!(page, "40 {0} m 380 {0} l S", y - 11).expect("a string takes all that is written");
    }
    page.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::price_list;

    #[test]
    fn the_table_tells_where_every_object_starts() {
        let file = String::from_utf8(price_list()).unwrap();
        let (body, end) = file.rsplit_once("startxref\n").unwrap();
        let table_at: usize = end.lines().next().unwrap().parse().unwrap();
        let entries: Vec<usize> = body[table_at..]
            .lines()
            .filter_map(|line| line.strip_suffix(" 00000 n "))
            .map(|offset| offset.parse().unwrap())
            .collect();
        assert!(body[table_at..].starts_with("xref\n0 7\n"));
        assert_eq!(entries.len(), 6);
        for (number, offset) in (1..).zip(entries) {
            assert!(file[offset..].starts_with(&format!("{number} 0 obj\n")), "object {number} is elsewhere");
        }
    }
}
