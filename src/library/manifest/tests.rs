use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::ids::ContentHash;

fn sample() -> Vec<Entry> {
    let time = Timestamp::from_unix_millis(1_760_000_000_123);
    let full = Entry {
        path: Some("banners/=hero, \"1\".png".into()),
        aliases: vec!["hero".parse().expect("a name"), "spring/hero".parse().expect("a name")],
        kind: Some(MediaKind::Image),
        asset: Some(Asset::Bytes(ContentHash([0xab; 32]))),
        attachment_id: "1857777774821032".parse().ok(),
        state: Some(UploadState::Live),
        uploaded_at: Some(time),
        expires_at: Some(time.plus(std::time::Duration::from_hours(90 * 24))),
        size_bytes: Some(1_234),
        mime: Some("image/png".into()),
        dimensions: Some(Dimensions { width: 640, height: 480 }),
        page: "106000000000001".parse().ok(),
        platform: Some(Platform::Messenger),
        origin: "https://graph.facebook.com".parse().ok(),
        copy_of: None,
        lookup: Lookup::Path,
    };
    let address = Entry {
        path: None,
        asset: "https://a.example/x,y.png?a=1".parse().ok().map(Asset::Url),
        state: Some(UploadState::UnknownAge),
        uploaded_at: None,
        expires_at: None,
        size_bytes: None,
        dimensions: None,
        aliases: Vec::new(),
        ..full.clone()
    };
    let guarded = ["=1+1", "+x", "-x", "@x", "'x", "'=x", "ünï.png", "a;b\nc"];
    let odd = guarded.map(|path| Entry { path: Some(path.into()), ..full.clone() });
    let raw = {
        use std::os::unix::ffi::OsStringExt;
        Entry { path: Some(std::ffi::OsString::from_vec(b"a\xffb".to_vec()).into()), ..full.clone() }
    };
    let copy = CopyOf {
        source: ContentHash([0xcd; 32]),
        rules: "fit1;messenger".into(),
        recipe: "fit1;messenger;jpeg;q=85;640x480".into(),
    };
    let copy = Entry { asset: Some(Asset::Bytes(ContentHash([0xac; 32]))), copy_of: Some(copy), ..full.clone() };
    let named = Entry {
        aliases: full.aliases.clone(),
        kind: full.kind,
        asset: full.asset.clone(),
        path: full.path.clone(),
        ..Entry::default()
    };
    [full, address, raw, copy, named].into_iter().chain(odd).collect()
}

fn read_all(bytes: &[u8]) -> Vec<Entry> {
    read(bytes).expect("a manifest").into_iter().map(|entry| entry.expect("an entry")).collect()
}

fn left_out(named: &Named) -> Vec<String> {
    named.left_out.iter().map(|out| format!("{}: {}", out.name, out.reason)).collect()
}

fn reasons(text: &str) -> Vec<String> {
    let entries = read(text.as_bytes()).expect(text);
    entries.into_iter().filter_map(Result::err).map(|bad| format!("{}: {}", bad.name, bad.reason)).collect()
}

#[test]
fn what_is_written_reads_back_the_same() {
    let entries = sample();
    assert_eq!(read_all(&json(&entries)), entries);
    assert_eq!(read_all(&csv(&entries)), entries);
    assert_eq!(read_all(&json(&[])), []);
    assert_eq!(read_all(&csv(&[])), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_name_is_written_as_it_is_read(names in prop::collection::vec("([=+@'\"\t\r\n,; -]|\\PC){1,12}", 1..6)) {
        let entry = |name: &String| Entry {
            path: Some(name.into()),
            attachment_id: Some("12".parse().expect("an id")),
            ..Entry::default()
        };
        let entries: Vec<_> = names.iter().map(entry).collect();
        prop_assert_eq!(&read_all(&csv(&entries)), &entries);
        prop_assert_eq!(&read_all(&json(&entries)), &entries);
    }
}

#[test]
fn no_cell_begins_like_a_formula() {
    let table = String::from_utf8(csv(&sample())).expect("text");
    let mut reader = csv::ReaderBuilder::new().from_reader(table.as_bytes());
    for cell in reader.records().flat_map(|row| row.expect("a row").iter().map(str::to_owned).collect::<Vec<_>>()) {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}

#[test]
fn json_has_a_line_for_each_entry_and_ends_with_one() {
    let text = String::from_utf8(json(&sample()[..2])).expect("text");
    insta::assert_snapshot!(text, @r#"
    {
    "reattach_manifest": 1,
    "assets": [
    {"path":"banners/=hero, \"1\".png","aliases":["hero","spring/hero"],"kind":"image","sha256":"abababababababababababababababababababababababababababababababab","attachment_id":"1857777774821032","state":"live","uploaded_at":"2025-10-09T08:53:20.123Z","expires_at":"2026-01-07T08:53:20.123Z","size_bytes":1234,"mime":"image/png","width":640,"height":480,"page_id":"106000000000001","platform":"messenger","graph_url":"https://graph.facebook.com"},
    {"kind":"image","url":"https://a.example/x,y.png?a=1","attachment_id":"1857777774821032","state":"unknown_age","mime":"image/png","page_id":"106000000000001","platform":"messenger","graph_url":"https://graph.facebook.com"}
    ]
    }
    "#);
}

#[test]
fn entries_are_sorted_whatever_order_they_come_in() {
    let mut entries = sample();
    Entry::sort(&mut entries);
    let mut backwards: Vec<_> = sample().into_iter().rev().collect();
    Entry::sort(&mut backwards);
    assert_eq!(entries, backwards);
}

#[test]
fn maps_and_tables_of_other_tools_are_read() {
    for text in [
        r#"{"a.png": "1857777774821032", "b/c.png": "1857777774821033"}"#,
        "\u{feff}name,id\r\na.png,1857777774821032\r\nb/c.png,1857777774821033\r\n",
        "ID;File Name\n1857777774821032;a.png\n1857777774821033;b/c.png",
        "Attachment-ID\tfile\n1857777774821032\ta.png\n1857777774821033\tb/c.png\n",
        "a.png,1857777774821032\nb/c.png,1857777774821033\n",
        r#"{"a.png": {"attachment_id": "1857777774821032"}, "b/c.png": {"attachment_id": "1857777774821033"}}"#,
    ] {
        let entries = read_all(text.as_bytes());
        let seen: Vec<_> = entries.iter().map(|entry| (entry.name(), entry.attachment_id.clone())).collect();
        let expected = [("a.png", "1857777774821032"), ("b/c.png", "1857777774821033")];
        assert_eq!(seen, expected.map(|(name, id)| (name.to_owned(), id.parse().ok())), "{text}");
        assert!(entries.iter().all(|entry| entry.uploaded_at.is_none() && entry.asset.is_none()), "{text}");
    }
}

#[test]
fn a_lock_file_is_read_as_bottender_writes_it() {
    let text = r#"{"messenger": {"hero.png": {"attachment_id": "7", "pageId": "1", "uploaded_at": 1512000000000,
        "checksum": "AB"}}}"#;
    let [entry] = &read_all(text.as_bytes())[..] else { panic!("one entry") };
    assert_eq!((entry.name().as_str(), entry.platform), ("hero.png", Some(Platform::Messenger)));
    assert_eq!(entry.uploaded_at, Some(Timestamp::from_unix_millis(1_512_000_000_000)));
    assert_eq!(entry.lookup, Lookup::BareName { checksum: Some("ab".into()) });
    let written = Entry { path: Some("deep/hero.png".into()), ..entry.clone() };
    let twin = Entry { path: Some("other/hero.png".into()), attachment_id: "8".parse().ok(), ..entry.clone() };
    let lock = lockfile(&[written.clone(), Entry { uploaded_at: None, ..entry.clone() }]);
    assert_eq!(read_all(&lock.text), std::slice::from_ref(entry));
    assert_eq!((lock.entries, lock.left_out.len()), (1, 0));

    let raw = {
        use std::os::unix::ffi::OsStringExt;
        Entry { path: Some(std::ffi::OsString::from_vec(b"a\xffb.png".to_vec()).into()), ..entry.clone() }
    };
    let address = "https://a.example/hero.png".parse().ok().map(Asset::Url);
    let address = Entry { path: None, asset: address, ..entry.clone() };
    let other = Entry { path: Some("other.png".into()), ..entry.clone() };
    let lock = lockfile(&[written, other.clone(), raw, twin, address]);
    assert_eq!((read_all(&lock.text), lock.entries), (vec![other], 1));
    let whys = [
        "a\u{fffd}b.png: its name is no UTF-8, and JSON holds no other; give the file another name",
        "https://a.example/hero.png: it is no file, and bottender knows files only",
        "deep/hero.png: hero.png would stand for other/hero.png as well; give one of the files another name",
        "other/hero.png: hero.png would stand for deep/hero.png as well; give one of the files another name",
    ];
    assert_eq!(left_out(&lock), whys);
}

#[test]
fn an_entry_that_makes_no_sense_is_named_and_costs_no_other() {
    insta::assert_snapshot!(reasons(r#"{"a": 9473328349966472, "b": "", "c": ["7"], "d": "7", "e": {"id": "7"}, "f": null}"#).join("\n"), @r#"
    a: its id 9473328349966472 is a number, which loses digits: write it in quotes
    b: "" is not an attachment id
    c: its id is ["7"], and no text
    f: its id is null, and no text
    "#);
    let wrong = [
        r#""attachment_id":7"#,
        r#""attachment_id":"9.47333E+15""#,
        r#""sha256":"ab""#,
        r#""url":"ftp://x""#,
        r#""url":"https://x/?access_token=EAAsecret""#,
        r#""kind":"sculpture""#,
        r#""state":"undead""#,
        r#""uploaded_at":"yesterday""#,
        r#""width":-1,"height":1"#,
        r#""page_id":"a c""#,
        r#""aliases":[1]"#,
    ];
    for field in wrong {
        let text = format!(r#"{{"reattach_manifest":1,"assets":[{{"path":"x",{field}}},{{"path":"y"}},7]}}"#);
        let bad = reasons(&text);
        assert!(bad.len() == 2 && bad[0].starts_with("x: ") && bad[1].starts_with("entry 3: "), "{bad:?}");
        assert!(!bad[0].contains("EAAsecret"), "{bad:?}");
    }
    assert_eq!(reasons("name,id\na.png\nb.png,9.47E+15\n,\n").len(), 1);
}

#[test]
fn damage_is_refused_or_read_and_never_more() {
    let lock = br#"{"messenger": {"hero.png": {"attachment_id": "7", "pageId": "1", "uploaded_at": 1512000000000}}}"#;
    let map = "name;id\nhero.png;1857777774821032\n\"b\nc\";'=7\n".as_bytes();
    let manifests = [json(&sample()), csv(&sample()), lock.to_vec(), map.to_vec()];
    let (mut read_well, mut refused) = (0, 0);
    for seed in 0..4_000_u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = manifests[rng.usize(..manifests.len())].clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = rng.u8(..),
                2 => bytes[at] = *b"{}[]\",;:'\n".get(rng.usize(..10)).unwrap_or(&b'0'),
                _ => bytes.insert(at, rng.u8(..)),
            }
        }
        match read(&bytes) {
            Ok(entries) => {
                read_well += 1;
                let good: Vec<_> = entries.into_iter().flatten().filter(|entry| entry.lookup == Lookup::Path).collect();
                assert_eq!(read_all(&json(&good)), good, "seed {seed}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read_well > 400 && refused > 400, "{read_well} read, {refused} refused");
}

#[test]
fn what_is_no_manifest_is_refused_whole() {
    let truncated = &json(&sample())[..500];
    for text in [
        &b""[..],
        b"  \n",
        truncated,
        b"[1]",
        b"{\"a\":\"1\",\"a\":\"2\"}",
        b"\xff\xfea\0",
        b"name,id\n\xff,7\n",
        b"just a text",
        b"name,number\na,b\n",
        br#"{"reattach_manifest":2,"assets":[]}"#,
        br#"{"reattach_manifest":1}"#,
    ] {
        assert!(read(text).is_err(), "{}", text.escape_ascii());
    }
}

#[test]
fn variables_are_named_for_every_shell_and_each_leads_to_one_id() {
    let mut entries = sample();
    entries.truncate(1);
    for (path, id) in [("banners/hero.png", "1"), ("7up.gif", "2"), ("ünï", "3"), ("odd", "a$'b")] {
        let of_file = Entry { path: Some(path.into()), aliases: Vec::new(), ..entries[0].clone() };
        entries.push(Entry { attachment_id: id.parse().ok(), ..of_file });
    }
    let named = env(&entries);
    insta::assert_snapshot!(String::from_utf8(named.text.clone()).expect("text"), @r#"
    HERO=1857777774821032
    SPRING_HERO=1857777774821032
    BANNERS_HERO_1_PNG=1857777774821032
    BANNERS_HERO_PNG=1
    _7UP_GIF=2
    N=3
    ODD='a$'\''b'
    "#);
    assert_eq!((named.entries, named.left_out.len()), (5, 0));

    let twin = Entry { path: Some("banners_hero.png".into()), ..entries[1].clone() };
    let aliases = ["Hero", "hero-2"].map(|name| name.parse().expect("a name")).to_vec();
    let path = Some("banners+hero.png".into());
    let other = Entry { path, attachment_id: "5".parse().ok(), aliases, ..twin.clone() };
    entries.extend([twin, other]);
    let named = env(&entries);
    insta::assert_snapshot!(String::from_utf8(named.text.clone()).expect("text"), @r#"
    SPRING_HERO=1857777774821032
    HERO_2=5
    BANNERS_HERO_1_PNG=1857777774821032
    _7UP_GIF=2
    N=3
    ODD='a$'\''b'
    "#);
    let whys = [
        "@hero: HERO would stand for @Hero as well; give it an alias of its own",
        "@Hero: HERO would stand for @hero as well; give it an alias of its own",
        "banners/hero.png: BANNERS_HERO_PNG would stand for banners+hero.png as well; give it an alias of its own",
        "banners_hero.png: BANNERS_HERO_PNG would stand for banners+hero.png as well; give it an alias of its own",
        "banners+hero.png: BANNERS_HERO_PNG would stand for banners/hero.png, banners_hero.png as well; \
         give it an alias of its own",
    ];
    assert_eq!(left_out(&named), whys);
    assert_eq!(named.entries, 5, "of seven, two have no name but the one they share");
}

#[test]
fn an_alias_and_a_file_of_one_id_may_have_one_variable() {
    let aliases = ["hero-png", "Hero.png"].map(|name| name.parse().expect("a name")).to_vec();
    let entry = Entry { path: Some("hero.png".into()), aliases, ..sample().swap_remove(0) };
    let named = env(&[entry]);
    assert_eq!(named.text, b"HERO_PNG=1857777774821032\n");
    assert_eq!((named.entries, named.left_out.len()), (1, 0));
}

#[test]
fn what_shares_a_name_with_very_many_is_told_of_a_few() {
    let entry = |number: usize| Entry {
        path: Some("花".repeat(number).into()),
        attachment_id: number.to_string().parse().ok(),
        ..Entry::default()
    };
    let named = env(&(1..=9).map(entry).collect::<Vec<_>>());
    assert_eq!((named.text.len(), named.entries, named.left_out.len()), (0, 0, 9));
    assert!(named.left_out[0].reason.contains("花花花花 and others"), "{:?}", named.left_out[0]);
}

#[test]
fn constants_lead_from_names_to_aliases() {
    let names: Vec<AliasName> = ["7up", "_x", "assets", "hero", "hero-1", "hero.1", "spring/hero"]
        .map(|name| name.parse().expect(name))
        .to_vec();
    let whys = [
        "@hero-1: HERO_1 would stand for @hero.1 as well; take it from ASSETS, or give it an alias of its own",
        "@hero.1: HERO_1 would stand for @hero-1 as well; take it from ASSETS, or give it an alias of its own",
    ];
    for named in [rust(&names), python(&names)] {
        assert_eq!((named.entries, left_out(&named)), (7, whys.map(str::to_owned).to_vec()));
    }
    let text = |named: Named| String::from_utf8(named.text).expect("text");
    insta::assert_snapshot!(text(typescript(&names)), @r#"
    // Written by `reattach export`: names of assets, each leading to its alias.

    export const assets = {
      "7up": "@7up",
      "_x": "@_x",
      "assets": "@assets",
      "hero": "@hero",
      "hero-1": "@hero-1",
      "hero.1": "@hero.1",
      "spring/hero": "@spring/hero",
    } as const;

    export type AssetName = keyof typeof assets;
    export type AssetAlias = (typeof assets)[AssetName];
    "#);
    insta::assert_snapshot!(text(rust(&names)), @r#"
    //! Written by `reattach export`: names of assets, each leading to its alias.

    /// `@7up`.
    pub const ASSET_7UP: &str = "@7up";

    /// `@_x`.
    pub const ASSET_X: &str = "@_x";

    /// `@assets`.
    pub const ASSET_ASSETS: &str = "@assets";

    /// `@hero`.
    pub const HERO: &str = "@hero";

    /// `@spring/hero`.
    pub const SPRING_HERO: &str = "@spring/hero";

    /// Every name and its alias, by name.
    pub const ASSETS: [(&str, &str); 7] = [
        ("7up", "@7up"),
        ("_x", "@_x"),
        ("assets", "@assets"),
        ("hero", "@hero"),
        ("hero-1", "@hero-1"),
        ("hero.1", "@hero.1"),
        ("spring/hero", "@spring/hero"),
    ];
    "#);
    insta::assert_snapshot!(text(python(&names)), @r#"
    """Written by `reattach export`: names of assets, each leading to its alias."""

    from typing import Dict, Final

    ASSET_7UP: Final = "@7up"
    ASSET_X: Final = "@_x"
    ASSET_ASSETS: Final = "@assets"
    HERO: Final = "@hero"
    SPRING_HERO: Final = "@spring/hero"

    ASSETS: Final[Dict[str, str]] = {
        "7up": "@7up",
        "_x": "@_x",
        "assets": "@assets",
        "hero": "@hero",
        "hero-1": "@hero-1",
        "hero.1": "@hero.1",
        "spring/hero": "@spring/hero",
    }
    "#);
}
