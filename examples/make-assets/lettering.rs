//! Round one-stroke capitals, as many as the pictures need.

use crate::canvas::{Canvas, Colour, Point, at, curve, stroke};

/// How far apart letters stand, on the grid below.
const SPACE: f32 = 2.2;

/// Writes a line of text; `corner` is the top left of the first letter, `height` that of the capitals.
pub(crate) fn write(canvas: &mut Canvas, text: &str, corner: Point, height: f32, pen: f32, colour: Colour) {
    let scale = height / 6.0;
    let mut left = corner.x;
    for letter in text.chars() {
        let (width, path) = glyph(letter);
        for line in lines(path) {
            let line: Vec<Point> = line.into_iter().map(|point| at(left, corner.y) + point * scale).collect();
            canvas.fill(&stroke(&line, pen), colour);
        }
        left += (width + SPACE) * scale;
    }
}

/// How wide `write` makes a line of text, its pen aside.
pub(crate) fn width(text: &str, height: f32) -> f32 {
    let widths: f32 = text.chars().map(|letter| glyph(letter).0 + SPACE).sum();
    (widths - SPACE) * height / 6.0
}

/// A letter's width and path on a grid six units high: `M` starts a line, `L` goes straight, `Q` bends towards a point.
fn glyph(letter: char) -> (f32, &'static str) {
    match letter {
        'A' => (4.0, "M 0 6 L 2 0 L 4 6 M 0.7 4 L 3.3 4"),
        'E' => (3.2, "M 3.2 0 L 0 0 L 0 6 L 3.2 6 M 0 3 L 2.7 3"),
        'G' => (4.3, "M 4 1.3 Q 3.5 0 2.1 0 Q 0 0 0 3 Q 0 6 2.1 6 Q 4.3 6 4.3 3.3 L 2.6 3.3"),
        'I' => (0.0, "M 0 0 L 0 6"),
        'L' => (3.0, "M 0 0 L 0 6 L 3 6"),
        'N' => (4.0, "M 0 6 L 0 0 L 4 6 L 4 0"),
        'P' => (3.8, "M 0 6 L 0 0 L 2 0 Q 3.8 0 3.8 1.7 Q 3.8 3.4 2 3.4 L 0 3.4"),
        'R' => (3.8, "M 0 6 L 0 0 L 2 0 Q 3.8 0 3.8 1.7 Q 3.8 3.4 2 3.4 L 0 3.4 M 2 3.4 L 3.8 6"),
        'S' => (
            3.8,
            "M 3.6 1.1 Q 3.2 0 1.9 0 Q 0.1 0 0.1 1.5 Q 0.1 2.8 1.9 3 Q 3.8 3.2 3.8 4.5 Q 3.8 6 1.9 6 Q 0.4 6 0 4.8",
        ),
        '0' => (4.0, "M 2 0 Q 4 0 4 3 Q 4 6 2 6 Q 0 6 0 3 Q 0 0 2 0"),
        '3' => (
            3.8,
            "M 0.2 0.9 Q 0.7 0 1.9 0 Q 3.6 0 3.6 1.5 Q 3.6 2.9 1.7 2.9 Q 3.8 2.9 3.8 4.5 Q 3.8 6 1.9 6 Q 0.4 6 0 5",
        ),
        '%' => (
            4.2,
            "M 3.7 0 L 0.5 6 M 0.9 0 Q 1.8 0 1.8 1 Q 1.8 2 0.9 2 Q 0 2 0 1 Q 0 0 0.9 0 \
             M 3.3 4 Q 4.2 4 4.2 5 Q 4.2 6 3.3 6 Q 2.4 6 2.4 5 Q 2.4 4 3.3 4",
        ),
        '-' => (2.0, "M 0 3.2 L 2 3.2"),
        ' ' => (1.4, ""),
        _ => panic!("no picture needs the letter {letter:?} yet"),
    }
}

fn lines(path: &str) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = Vec::new();
    let mut words = path.split_whitespace();
    while let Some(step) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a step is followed by its numbers");
        let mut point = || at(number(), number());
        match (step, lines.last_mut()) {
            ("M", _) => lines.push(vec![point()]),
            ("L", Some(line)) => line.push(point()),
            ("Q", Some(line)) => {
                let from = *line.last().expect("a line has its first point");
                line.extend(curve(from, point(), point()));
            }
            _ => panic!("a path starts with M and goes on with L and Q, not {step:?}"),
        }
    }
    lines
}
