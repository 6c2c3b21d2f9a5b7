//! Progress bars on stderr: one for looking at files, one for uploading them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::library::{Progress, Reporter};

/// Draws the library's progress. Each bar appears with the first thing it has to show.
#[derive(Debug)]
pub(super) struct Bars {
    drawn: MultiProgress,
    inspecting: OnceLock<ProgressBar>,
    uploading: OnceLock<ProgressBar>,
    uploads: AtomicU64,
    uploaded: AtomicU64,
}

impl Bars {
    /// Bars drawn on `drawn`, among its others.
    pub(super) fn new(drawn: MultiProgress) -> Self {
        Self {
            drawn,
            inspecting: OnceLock::new(),
            uploading: OnceLock::new(),
            uploads: AtomicU64::new(0),
            uploaded: AtomicU64::new(0),
        }
    }

    fn inspecting(&self) -> &ProgressBar {
        self.inspecting.get_or_init(|| self.bar("checking"))
    }

    fn uploading(&self) -> &ProgressBar {
        self.uploading.get_or_init(|| self.bar("uploading"))
    }

    fn bar(&self, name: &'static str) -> ProgressBar {
        const TEMPLATE: &str = "{prefix:>9} {bar:30.green/dim} {percent:>3}%  {bytes} of {total_bytes}  {msg}";
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed");
        let bar = self.drawn.add(ProgressBar::new(0));
        bar.set_style(style.progress_chars("━━─"));
        bar.set_prefix(name);
        bar
    }

    fn count_uploads(&self) {
        let (done, all) = (self.uploaded.load(Ordering::Relaxed), self.uploads.load(Ordering::Relaxed));
        self.uploading().set_message(format!("{done} of {all} files"));
    }

    /// Leaves the bars as they stand.
    pub(super) fn end(&self) {
        for bar in [&self.inspecting, &self.uploading].into_iter().filter_map(OnceLock::get) {
            bar.abandon();
        }
    }
}

impl Reporter for Bars {
    fn report(&self, progress: Progress) {
        match progress {
            Progress::Found(bytes) => self.inspecting().inc_length(bytes),
            Progress::Inspected(bytes) => self.inspecting().inc(bytes),
            Progress::UploadStarted(bytes) => {
                self.uploads.fetch_add(1, Ordering::Relaxed);
                self.uploading().inc_length(bytes);
                self.count_uploads();
            }
            Progress::UploadSent(bytes) => self.uploading().inc(bytes),
            Progress::UploadFinished => {
                self.uploaded.fetch_add(1, Ordering::Relaxed);
                self.count_uploads();
            }
        }
    }
}
