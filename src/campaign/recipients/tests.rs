use proptest::prelude::*;

use super::*;

fn read(name: &str, bytes: &[u8], variables: &[&str]) -> Result<Vec<Row>, CampaignError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let variables: Vec<String> = variables.iter().map(|&name| name.to_owned()).collect();
    let mut reader = RecipientReader::open(&path, &variables)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push(row);
    }
    Ok(rows)
}

/// Each row as `line recipient name`, or as what is wrong with it.
fn lines(name: &str, text: &str) -> Vec<String> {
    let show = |row: Row| match row {
        Ok((line, person)) => format!("{line} {} {}", person.recipient, person.variables["name"].as_str().unwrap()),
        Err(bad) => bad.to_string(),
    };
    read(name, text.as_bytes(), &["name"]).unwrap().into_iter().map(show).collect()
}

#[test]
fn spreadsheets_of_all_kinds_are_read() {
    let expected = ["2 1 Ada", "3 2 B, C", "4 3 D\"E"];
    assert_eq!(lines("a.csv", "recipient,name\n1,Ada\n2,\"B, C\"\n3,\"D\"\"E\"\n"), expected);
    assert_eq!(lines("a.csv", "\u{feff}name,recipient\r\nAda, 1 \r\n\"B, C\",2\r\n\"D\"\"E\",3"), expected);
    assert_eq!(lines("a.csv", "recipient;name;x\n1;Ada;\n2;B, C;\n3;\"D\"\"E\";\n"), expected);
    assert_eq!(lines("a.txt", "recipient\tname\n1\tAda\n2\tB, C\n3\t\"D\"\"E\"\n"), expected);
}

const ODD: [&str; 13] =
    ["1", " 12 ", "user_ref:a:b", "phone:+49 1", "abc", "1.2E+15", "", "\"", "a\"b", "x,y", "x;y", "l\nm", "\u{feff}"];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![3 => prop::sample::select(&ODD[..]).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_list_that_was_read_and_written_reads_the_same(
        rows in prop::collection::vec((word(), word()), 0..12),
        delimiter in prop::sample::select(&b",;\t"[..]),
    ) {
        let written = |rows: &[(String, String)]| {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(["recipient", "name"]).unwrap();
            for (recipient, name) in rows {
                writer.write_record([recipient, name]).unwrap();
            }
            writer.into_inner().unwrap()
        };
        let sound = |list: &[u8]| -> Vec<(String, String)> {
            let pair = |person: NewRecipient| {
                (person.recipient.to_string(), person.variables["name"].as_str().unwrap().to_owned())
            };
            let rows = read("a.csv", list, &["name"]).unwrap().into_iter().flatten();
            rows.map(|(_, person)| pair(person)).collect()
        };
        let once = sound(&written(&rows));
        prop_assert_eq!(sound(&written(&once)), once.clone());
        let lines = once.iter().map(|(recipient, name)| {
            serde_json::json!({ "recipient": recipient, "name": name }).to_string() + "\n"
        });
        let again = read("a.jsonl", lines.collect::<String>().as_bytes(), &["name"]).unwrap();
        prop_assert_eq!(again.into_iter().flatten().count(), once.len());
    }
}

#[test]
fn json_lines_are_read() {
    let text =
        "\u{feff}{\"recipient\":\"1\",\"name\":\"Ada\"}\r\n\n{\"recipient\":1254459154682919,\"name\":7,\"x\":[]}\n";
    assert_eq!(lines("a.jsonl", text), ["1 1 Ada", "3 1254459154682919 7"]);
    let bad =
        lines("a.jsonl", "[]\n{\n{\"recipient\":1.5,\"name\":\"a\"}\n{\"recipient\":\"1\",\"recipient\":\"2\"}\n{}\n");
    assert_eq!(bad.len(), 5);
    assert!(bad.iter().zip(1..).all(|(bad, line)| bad.starts_with(&format!("line {line}: "))), "{bad:?}");
}

#[test]
fn a_bad_row_is_named_by_its_line_and_costs_no_other() {
    let text = "recipient,name\n1,Ada\nabc,B\n2\n3,\n1.25446E+15,D\n,E\n\"4\n\",\"F\nG\"\n5,H\n";
    assert_eq!(
        lines("a.csv", text),
        [
            "2 1 Ada",
            "line 3: \"abc\" is not a recipient (a PSID of digits, or user_ref:, comment:, post:, phone:+, player:, otn:, notification: or login: with a value)",
            "line 4: it has 1 field, and the header 2",
            "line 5: it has no name, which the message uses",
            "line 6: \"1.25446E+15\" is a number a spreadsheet has rounded; have it keep the column as text",
            "line 7: it names no recipient",
            "8 4 F\nG",
            "11 5 H",
        ]
    );
    let latin1 = read("a.csv", b"recipient,name\n1,Andr\xe9\n2,B\n", &["name"]).unwrap();
    assert_eq!(latin1[0], Err(BadRow { line: 2, reason: "it is not UTF-8".into() }));
    assert!(latin1[1].is_ok());
}

#[test]
fn lines_are_counted_whatever_they_end_with() {
    for end in ["\n", "\r\n"] {
        let text = ["recipient,name", "", "1,\"a", "b\"", "", "x,c", "y,d"].join(end);
        let lines = lines("a.csv", &text);
        assert!(lines[0].starts_with("3 1 a\nb"), "{lines:?}");
        assert!(lines[1].starts_with("line 6: \"x\"") && lines[2].starts_with("line 7: \"y\""), "{lines:?}");
    }
}

#[test]
fn a_quote_that_swallows_the_rest_is_refused_by_its_line() {
    let rest = "4,D\n".repeat(5_000);
    for text in [format!("recipient,name\r\n1,Ada\r\n2,\"B\r\n{rest}"), format!("recipient,name\n1,Ada\n2,\"B\n{rest}")]
    {
        let error = read("a.csv", text.as_bytes(), &["name"]).unwrap_err();
        assert!(matches!(error, CampaignError::UnclosedQuote { line: 3, .. }) && error.hint().is_some(), "{error}");
    }
    let error = read("a.csv", b"recipient,\"name\n1,Ada\n", &["name"]).unwrap_err();
    assert!(matches!(error, CampaignError::UnclosedQuote { line: 1, .. }), "{error}");
}

#[test]
fn a_column_that_is_there_twice_is_refused_where_it_is_asked_for() {
    let of = |text: &str| read("a.csv", text.as_bytes(), &["name"]);
    for text in [
        "recipient,name,name\n1,a,b\n",
        "recipient,recipient,name\n1,2,a\n",
        "recipient,name,last_interaction_at,last_interaction_at\n1,a,,\n",
    ] {
        let error = of(text).unwrap_err();
        assert!(matches!(error, CampaignError::SameColumns { .. }) && error.hint().is_some(), "{error}");
    }
    assert!(of("recipient,name,note,note\n1,a,,\n").is_ok());
}

#[test]
fn what_a_spreadsheet_saved_as_utf_16_is_called_that() {
    for (mark, name) in [(b"\xff\xfer\0", "a.csv"), (b"\xfe\xff\0r", "a.jsonl")] {
        let error = read(name, mark, &[]).unwrap_err();
        assert!(matches!(error, CampaignError::Utf16 { .. }) && error.hint().is_some(), "{error}");
    }
    // Most programs write the mark, and some do not.
    let text = "recipient,имя\n1001,Ада\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        let error = read("a.csv", &bytes, &[]).unwrap_err();
        assert!(matches!(error, CampaignError::Utf16 { .. }), "{error}");
    }
    let neither = read("a.csv", b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml", &[]).unwrap_err();
    assert!(matches!(neither, CampaignError::NoColumn { .. }), "{neither}");
}

#[test]
fn lines_that_end_in_a_carriage_return_alone_are_called_that() {
    for (name, text) in [
        ("a.csv", "recipient,first_name\r101,Ada\r102,Bo\r"),
        ("a.csv", "\"recipient\",\"first_name\"\r101,Ada\r\n"),
        ("a.txt", "101\r102\r"),
        ("a.jsonl", "{\"recipient\":\"101\"}\r{\"recipient\":\"102\"}\r"),
    ] {
        let error = read(name, text.as_bytes(), &[]).unwrap_err();
        assert!(matches!(error, CampaignError::BareReturns { .. }) && error.hint().is_some(), "{text:?}: {error}");
    }
    for fine in
        ["recipient,name\r\n1,A\r\n", "recipient,name\r\r\n1,A\r\r\n", "recipient,name\r", "recipient,\"a\rb\"\n"]
    {
        assert!(read("a.csv", fine.as_bytes(), &[]).is_ok(), "{fine:?}");
    }
}

#[test]
fn a_missing_column_is_named() {
    let error = read("a.csv", b"psid,name\n1,a\n", &[]).unwrap_err().to_string();
    assert!(error.ends_with("has no column \"recipient\"; it has psid, name"), "{error}");
    assert!(read("a.csv", b"recipient\n1\n", &["name"]).is_err());
    assert!(read("a.csv", b"", &[]).is_err());
}

#[test]
fn times_are_read_as_people_write_them() {
    let at = |text: &str| last_interaction(text).unwrap().map(|time| time.to_string());
    for text in
        ["2026-04-01T09:30:00Z", "2026-04-01 09:30:00", "1775035800", "1775035800000", "2026-04-01T11:30:00+02:00"]
    {
        assert_eq!(at(text).as_deref(), Some("2026-04-01T09:30:00Z"), "{text}");
    }
    assert_eq!(at(""), None);
    assert!(last_interaction("yesterday").is_err());
}

#[test]
fn time_zones_are_read_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let zones = |name: &str, text: &str, asked: bool| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let reader = RecipientReader::open(&path, &[]).unwrap();
        let mut reader = if asked { reader.with_timezones() } else { reader };
        let mut zones = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            let zone = |(_, person): (u64, NewRecipient)| person.timezone.unwrap_or_default();
            zones.push(row.map_or_else(|bad| bad.to_string(), zone));
        }
        zones
    };
    let table = "recipient,timezone\n1,Europe/Berlin\n2,\n3,Atlantis\n4,-3.5\n";
    let wrong = "line 4: \"Atlantis\" is no time zone such as Europe/Berlin, +02:00 or 2";
    assert_eq!(zones("a.csv", table, true), ["Europe/Berlin", "", wrong, "-3.5"]);
    assert_eq!(zones("a.csv", table, false), [""; 4]);
    assert_eq!(zones("b.csv", "recipient\n1\n", true), [""]);
    let lines = "{\"recipient\":\"1\",\"timezone\":5.5}\n{\"recipient\":\"2\"}\n";
    assert_eq!(zones("a.jsonl", lines, true), ["5.5", ""]);
}

#[test]
fn a_stop_list_is_taken_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let people = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let (people, bad) = read_suppressed(&path).unwrap();
        (people.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), bad.len())
    };
    assert_eq!(people("a.txt", "# gone\n1\n\nphone:+123\nnobody\n"), ("1 phone:+123".into(), 1));
    assert_eq!(people("a.csv", "recipient,when\n1,x\n2,y\n"), ("1 2".into(), 0));
    assert_eq!(people("a.jsonl", "{\"recipient\":\"1\"}\n"), ("1".into(), 0));
}
