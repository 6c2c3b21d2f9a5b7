//! Progress bars on stderr: one for looking at files, one for uploading them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::library::{Progress, Reporter};

use super::values::{human_size, thousands};

/// Draws the library's progress. Each bar appears with the first thing it has to show.
#[derive(Debug)]
pub(super) struct Bars {
    drawn: MultiProgress,
    checking: OnceLock<ProgressBar>,
    uploading: OnceLock<ProgressBar>,
    read_bytes: Arc<AtomicU64>,
    uploads: Arc<AtomicU64>,
    uploaded: Arc<AtomicU64>,
}

impl Bars {
    /// Bars drawn on `drawn`, among its others.
    pub(super) fn new(drawn: MultiProgress) -> Self {
        Self {
            drawn,
            checking: OnceLock::new(),
            uploading: OnceLock::new(),
            read_bytes: Arc::default(),
            uploads: Arc::default(),
            uploaded: Arc::default(),
        }
    }

    /// Counts files; says how many bytes had to be read.
    fn checking(&self) -> &ProgressBar {
        self.checking.get_or_init(|| {
            let read = Arc::clone(&self.read_bytes);
            let more = move |_: &ProgressState, line: &mut dyn Write| {
                // What cannot be drawn is not missed.
                let _ = write!(line, "{} read", human_size(read.load(Ordering::Relaxed)));
            };
            self.bar("checking", with_bar("{human_pos} of {human_len} files, {more}").with_key("more", more))
        })
    }

    /// Counts bytes.
    fn uploading(&self) -> &ProgressBar {
        self.uploading.get_or_init(|| self.bar("uploading", with_bar("{decimal_bytes} of {decimal_total_bytes}")))
    }

    /// How many will be uploaded in the end nobody knows before all were looked at: several are counted, and no share is told.
    fn uploading_several(&self) -> ProgressStyle {
        let (done, all) = (Arc::clone(&self.uploaded), Arc::clone(&self.uploads));
        let more = move |state: &ProgressState, line: &mut dyn Write| {
            let (done, all) = (done.load(Ordering::Relaxed), all.load(Ordering::Relaxed));
            let (queued, sent) = (thousands(all.saturating_sub(done)), human_size(state.pos()));
            let _ = write!(line, "{} done, {queued} queued, {sent} sent", thousands(done));
        };
        styled("{prefix:>9} {more}").with_key("more", more)
    }

    fn bar(&self, name: &'static str, style: ProgressStyle) -> ProgressBar {
        // Made before it is shown: a bar of nothing is a full one.
        self.drawn.add(ProgressBar::new(0).with_style(style).with_prefix(name))
    }

    /// Takes the bars away, to make room for others, or because what they showed is told.
    pub(super) fn clear(&self) {
        for bar in [&self.checking, &self.uploading].into_iter().filter_map(OnceLock::get) {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Bars {
    fn report(&self, progress: Progress) {
        match progress {
            Progress::Found(files) => self.checking().inc_length(files),
            Progress::Inspected => self.checking().inc(1),
            Progress::Read(bytes) => {
                self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.checking().tick();
            }
            Progress::UploadPlanned(bytes) => {
                if self.uploads.fetch_add(1, Ordering::Relaxed) == 1 {
                    self.uploading().set_style(self.uploading_several());
                }
                self.uploading().inc_length(bytes);
            }
            Progress::UploadSent(bytes) => self.uploading().inc(bytes),
            Progress::UploadFinished => {
                self.uploaded.fetch_add(1, Ordering::Relaxed);
                self.uploading().tick();
            }
        }
    }
}

fn with_bar(text: &str) -> ProgressStyle {
    styled(&format!("{{prefix:>9}} {{bar:30.green/dim}} {{percent:>3}}%  {text}")).progress_chars("━━─")
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}
