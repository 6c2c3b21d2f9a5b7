//! What SECURITY.md says is so: whatever it points at is there, and no exception is made that it does not name.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

fn toml(name: &str) -> toml::Table {
    read(name).parse().expect(name)
}

/// What stands between `before` and `behind`, each time.
fn between<'a>(text: &'a str, before: &str, behind: char) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once(behind)).map(|(part, _)| part).collect()
}

#[test]
fn whatever_the_page_points_at_is_there() {
    let page = read("SECURITY.md");
    let (elsewhere, here): (Vec<_>, Vec<_>) =
        between(&page, "](", ')').into_iter().partition(|link| link.starts_with("https://"));
    assert!(here.len() > 15, "{here:?}");
    for link in &here {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file(), "{link}");
    }
    assert!(elsewhere.iter().all(|link| link.starts_with("https://rustsec.org/advisories/RUSTSEC-")), "{elsewhere:?}");
    // A module that no longer runs shows nothing.
    let (tests, service) = (read("tests/it/main.rs"), read("tests/it/service.rs"));
    for module in here.iter().filter_map(|link| link.strip_prefix("tests/it/")?.strip_suffix(".rs")) {
        let (at, name) = match module.rsplit_once('/') {
            Some(("support", name)) => (read("tests/it/support/mod.rs"), name),
            Some((parent, name)) => (read(&format!("tests/it/{parent}.rs")), name),
            None => (tests.clone(), module),
        };
        assert!(at.lines().any(|line| line.ends_with(&format!("mod {name};"))), "{module}");
    }
    assert!(service.contains("mod attacks;") && read("README.md").contains("](SECURITY.md)"));
    let justfile = read("justfile");
    let recipes = between(&page, "`just ", '`');
    assert_eq!(recipes, ["deny", "sbom"]);
    assert!(recipes.iter().all(|recipe| justfile.contains(&format!("\n{recipe}:\n"))));
}

#[test]
fn the_version_that_is_mended_is_this_one() {
    let version = toml("Cargo.toml")["package"]["version"].as_str().expect("a version").to_owned();
    let (minor, _) = version.rsplit_once('.').expect("three numbers");
    assert!(read("SECURITY.md").contains(&format!("\n| {minor}, ")), "{minor}");
}

#[test]
fn every_exception_has_its_reason_and_is_named_on_the_page() {
    let (deny, page) = (toml("deny.toml"), read("SECURITY.md"));
    let exceptions = deny["advisories"]["ignore"].as_array().expect("exceptions");
    for exception in exceptions {
        let reason = exception["reason"].as_str().expect("a reason");
        let package = reason.split(' ').next().expect("a package");
        let row = format!(
            "\n| `{package}` | [{0}](https://rustsec.org/advisories/{0}) |",
            exception["id"].as_str().expect("an id")
        );
        assert!(page.contains(&row), "{row}");
    }
    assert_eq!(page.matches("](https://rustsec.org/").count(), exceptions.len());
    for table in ["deny", "skip-tree"] {
        let entries = deny["bans"][table].as_array().expect(table);
        assert!(
            entries.iter().all(|entry| entry["reason"].as_str().is_some_and(|reason| !reason.is_empty())),
            "{table}"
        );
    }
}

#[test]
fn packages_come_from_one_place_and_none_of_them_is_openssl() {
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().expect("packages");
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let source = package.get("source").and_then(toml::Value::as_str);
        let expected = (name != "reattach").then_some("registry+https://github.com/rust-lang/crates.io-index");
        assert_eq!(source, expected, "{name}");
        assert!(!["openssl", "openssl-sys", "native-tls"].contains(&name), "{name}");
    }
    let page = read("SECURITY.md");
    for name in ["sled", "parking_lot"] {
        let named = packages.iter().filter(|package| package["name"].as_str() == Some(name)).any(|package| {
            let version = package["version"].as_str().expect("a version");
            version.match_indices('.').any(|(end, _)| page.contains(&format!("{name} {}", &version[..end])))
        });
        assert!(named, "{name}");
    }
}
