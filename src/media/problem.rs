//! What can be wrong with a file, as every output shows it: a code, a severity, a message and a hint.
//!
//! Messages and hints never hold a path or bytes of the file, so they are safe to print anywhere.

use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt;

use serde::Serialize;

/// Why a file is refused or warned about. Serialized as [`as_str`](Self::as_str) shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// More bytes than the platform takes.
    TooLarge,
    /// So many bytes that the platform may refuse it after encoding it anew.
    NearSizeLimit,
    /// More pixels than the platform takes.
    TooManyPixels,
    /// No bytes at all.
    Empty,
    /// The system would not let it be read.
    Unreadable,
    /// There is none, or not any more: it may have been there when the folder was listed.
    Vanished,
    /// Damaged, or not what its name says.
    Corrupt,
    /// A folder, a link, a pipe or a device where a file is needed.
    NotARegularFile,
    /// A folder nested so deep that its content was not looked at.
    TooDeep,
    /// Its name says another type than its bytes.
    ExtensionMismatch,
    /// A format the platform refuses, or is not known to take.
    UnsupportedFormat,
    /// Another program wrote to it while it was read.
    ChangedWhileReading,
    /// Our own data, configuration or a secret.
    Private,
    /// It would need a copy that fits, and is left alone because it is animated.
    Animated,
    /// It would need a copy that fits, and none can be made.
    CannotFit,
}

impl ProblemCode {
    /// The word every output uses for this code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NearSizeLimit => "near_size_limit",
            Self::TooManyPixels => "too_many_pixels",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Vanished => "vanished",
            Self::Corrupt => "corrupt",
            Self::NotARegularFile => "not_a_regular_file",
            Self::TooDeep => "too_deep",
            Self::ExtensionMismatch => "extension_mismatch",
            Self::UnsupportedFormat => "unsupported_format",
            Self::ChangedWhileReading => "changed_while_reading",
            Self::Private => "private",
            Self::Animated => "animated",
            Self::CannotFit => "cannot_fit",
        }
    }
}

/// Whether a problem keeps the file from being uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not uploaded.
    Error,
    /// The file is uploaded, and may be refused or shown badly.
    Warning,
}

/// One thing that is wrong with one file.
///
/// Serialized as `{"code":"empty","severity":"error","message":"…","hint":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    /// What kind of problem it is.
    pub code: ProblemCode,
    /// Whether it keeps the file from being uploaded.
    pub severity: Severity,
    /// What is wrong, and by how much.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// How large the file is, where it was refused for that unread. Outputs have a place of their own for it.
    #[serde(skip)]
    pub size_bytes: Option<u64>,
}

impl Problem {
    /// A problem that keeps the file from being uploaded.
    pub fn error(code: ProblemCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), hint: hint.into(), size_bytes: None }
    }

    /// A problem the file is uploaded with.
    pub fn warning(code: ProblemCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message, hint) }
    }

    /// What it means when the system answers a look at a file, or at a folder, with `error`.
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::error(
                ProblemCode::Vanished,
                "there is no such file or folder",
                "check the path; if something moves it, run the command again once nothing does",
            ),
            io::ErrorKind::PermissionDenied => Self::error(
                ProblemCode::Unreadable,
                format!("it cannot be read: {error}"),
                "give the user who runs reattach the right to read it",
            ),
            io::ErrorKind::CrossesDevices => Self::error(
                ProblemCode::Unreadable,
                "a link on the way to it leads out of the library",
                "put the file itself into the library's folder",
            ),
            io::ErrorKind::InvalidFilename => Self::error(
                ProblemCode::Unreadable,
                "it cannot be read: its path is longer than the system takes",
                "run reattach in a folder nearer to it, or move it nearer to the root",
            ),
            _ => Self::error(
                ProblemCode::Unreadable,
                format!("it cannot be read: {error}"),
                "check that the disk or the network share is in order",
            ),
        }
    }

    /// A file somebody is still writing.
    pub(crate) fn changed() -> Self {
        Self::error(
            ProblemCode::ChangedWhileReading,
            "another program wrote to it while it was read",
            "run the command again once the file is complete",
        )
    }

    /// What to say of something that stands where a file should, such as a pipe.
    pub(super) fn not_regular(file_type: FileType) -> Self {
        let (what, hint) = if file_type.is_dir() {
            ("a folder", "name a file in it; `reattach sync` takes a folder with all it holds")
        } else if file_type.is_symlink() {
            ("a symbolic link", "links are not followed; name the link itself, or the file it leads to")
        } else {
            (special(file_type), "only regular files can be uploaded")
        };
        Self::error(ProblemCode::NotARegularFile, format!("it is {what}, not a file"), hint)
    }
}

fn special(file_type: FileType) -> &'static str {
    if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_as_the_contract_has_it() {
        let problem = Problem::warning(ProblemCode::NearSizeLimit, "what", "do");
        assert_eq!(
            serde_json::to_string(&problem).expect("json"),
            r#"{"code":"near_size_limit","severity":"warning","message":"what","hint":"do"}"#
        );
    }

    #[test]
    fn a_code_is_one_word_in_json_and_in_text() {
        for code in [
            ProblemCode::TooLarge,
            ProblemCode::NearSizeLimit,
            ProblemCode::TooManyPixels,
            ProblemCode::Empty,
            ProblemCode::Unreadable,
            ProblemCode::Vanished,
            ProblemCode::Corrupt,
            ProblemCode::NotARegularFile,
            ProblemCode::TooDeep,
            ProblemCode::ExtensionMismatch,
            ProblemCode::UnsupportedFormat,
            ProblemCode::ChangedWhileReading,
            ProblemCode::Animated,
            ProblemCode::CannotFit,
        ] {
            assert_eq!(serde_json::to_value(code).expect("json"), code.as_str());
        }
    }

    #[test]
    fn a_refusal_of_the_system_is_told_from_a_file_that_is_gone() {
        let of = |kind: io::ErrorKind| Problem::from_io(&kind.into()).code;
        assert_eq!(of(io::ErrorKind::NotFound), ProblemCode::Vanished);
        assert_eq!(of(io::ErrorKind::NotADirectory), ProblemCode::Vanished);
        assert_eq!(of(io::ErrorKind::PermissionDenied), ProblemCode::Unreadable);
        assert_eq!(of(io::ErrorKind::Other), ProblemCode::Unreadable);
    }

    #[test]
    fn of_a_folder_a_file_in_it_is_to_be_named() {
        let folder = std::env::temp_dir().metadata().expect("a folder");
        let problem = Problem::not_regular(folder.file_type());
        assert_eq!(problem.message, "it is a folder, not a file");
        assert!(problem.hint.starts_with("name a file in it"), "{}", problem.hint);
    }
}
