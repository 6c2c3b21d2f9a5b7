//! Where files lie, in words that hold wherever somebody stands.

use std::path::{Component, Path, PathBuf, absolute};
use std::{fs, io};

/// The path from the root, without steps back (`..`). What lies before the last of them is looked up, for behind a link a
/// step back leads elsewhere; where it is gone, and behind it, the path stays as it was written.
///
/// # Errors
/// Where there is no telling which folder this process stands in.
pub fn place_of(path: &Path) -> io::Result<PathBuf> {
    let path = absolute(path)?;
    let steps: Vec<_> = path.components().collect();
    let Some(last) = steps.iter().rposition(|step| *step == Component::ParentDir) else { return Ok(path) };
    let Ok(mut place) = fs::canonicalize(steps[..=last].iter().collect::<PathBuf>()) else { return Ok(path) };
    place.extend(&steps[last + 1..]);
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn steps_back_are_taken_where_they_lead() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        fs::create_dir_all(here.join("far/deep")).unwrap();
        fs::create_dir(here.join("media")).unwrap();
        symlink(here.join("far/deep"), here.join("link")).unwrap();
        symlink(here.join("media"), here.join("named")).unwrap();
        let place = |path: &str| place_of(&here.join(path)).unwrap();
        assert_eq!(place("media/a.png"), here.join("media/a.png"));
        assert_eq!(place("far/../media/a.png"), here.join("media/a.png"));
        assert_eq!(place("link/../a.png"), here.join("far/a.png"), "behind a link it leads elsewhere");
        assert_eq!(place("far/../named/a.png"), here.join("named/a.png"), "a link that was named stays");
        assert_eq!(place("gone/../a.png"), here.join("gone/../a.png"));
    }
}
