//! Configuration, and names that are shown on a terminal.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::args::{ColorWhen, Global};
use super::config::{Settings, record_place};
use super::output::{is_treacherous, shown};
use crate::causes::in_full;
use crate::fuzzing::in_file;

/// What no error may repeat.
const SECRET: &str = "s3cret-canary";

/// `reattach.toml`, and a store's address with a password in it.
pub(crate) fn configuration(text: &[u8]) {
    in_file("reattach.toml", text, |path| {
        if let Ok(settings) = Settings::load(&global(Some(path), None)) {
            let _ = settings.page.all().is_ok();
        }
    });
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| !text.contains(SECRET)) else { return };
    let user = text.split(['?', '/', '@', '#']).next().unwrap_or_default();
    for url in [
        format!("postgres://u:{SECRET}@{text}"),
        format!("postgres://h/d?password={SECRET}&{text}"),
        format!("postgresql://{user}:{SECRET}@h/d"),
        text.to_owned(),
    ] {
        let _ = Settings::load(&global(None, Some(url.clone()))).is_ok();
        let error = match record_place(&url) {
            Ok(place) => {
                assert!(!format!("{place:?}").contains(SECRET), "{place:?}");
                continue;
            }
            Err(error) => error,
        };
        let said = in_full(&error);
        assert!(!said.contains(SECRET), "{said}");
    }
}

fn global(config: Option<&Path>, store: Option<String>) -> Global {
    Global {
        // Never the file that happens to lie here.
        config: Some(config.unwrap_or(Path::new("/dev/null")).to_owned()),
        page: None,
        store,
        graph_url: None,
        api_version: None,
        platform: None,
        json: false,
        max_wait: Duration::ZERO,
        yes: false,
        quiet: false,
        verbose: 0,
        color: ColorWhen::Never,
        no_progress: true,
    }
}

/// A path of any bytes.
pub(crate) fn path_display(bytes: &[u8]) {
    let text = shown(Path::new(OsStr::from_bytes(bytes)));
    assert!(!text.chars().any(is_treacherous), "{text:?}");
    assert_eq!(shown(Path::new(&text)), text, "what is fit for a terminal stays as it is");
}
