//! What is left to a process that decodes bytes anybody may have made: memory and time within bounds, what it has open
//! already, and nothing else of the system.
//!
//! Three layers, each of which holds by itself: limits on resources, on every Unix; Landlock, which takes away the file
//! system and the network; and a filter that refuses every call to the kernel but those that decoding makes. Where the
//! kernel lacks one of them, it goes without.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::media::thumbnail::MOST_BYTES;

/// Memory, in bytes.
const MEMORY: u64 = 512 << 20;
/// Processor time, in seconds.
const TIME: u64 = 5;

/// From here on the system refuses this thread all that decoding has no need of, and ends it rather than let it take more.
pub(super) fn close() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Nobody else's programs may look into it.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        // A ruleset is a descriptor, and limits leave none.
        let files = linux::shut_files_and_network();
        limit();
        let calls = linux::filter_calls();
        // Nobody but whoever runs it by hand reads this.
        tracing::debug!(?files, ?calls, "the cage is closed, as far as this kernel can");
    }
    #[cfg(not(target_os = "linux"))]
    limit();
}

fn limit() {
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Cpu, TIME),
        // Standard output may be a file.
        (Resource::Fsize, MOST_BYTES),
        (Resource::Core, 0),
        // No file and no socket more than it has, and no child.
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        // A limit that is lower already stays.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};
    use libc::{PROT_EXEC, c_long};
    use seccompiler::{
        BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        apply_filter,
    };

    /// What decoding asks of the kernel: to read and write what is open, for memory, and to end.
    const CALLS: [c_long; 16] = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_sched_yield,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    /// The same, as long as nothing of the memory can be run: their third argument says what may be done with it.
    const CALLS_FOR_DATA: [c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

    /// Takes away every file that is not open yet, and TCP: whether the kernel does all of it, some or nothing.
    pub(super) fn shut_files_and_network() -> Result<RulesetStatus, RulesetError> {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V5))?;
        let rules = rules.handle_access(AccessNet::from_all(ABI::V5))?.scope(Scope::from_all(ABI::V6))?;
        Ok(rules.create()?.restrict_self()?.ruleset)
    }

    /// Refuses every call that is not on the list, as one that is not permitted; and takes no privileges ever again.
    pub(super) fn filter_calls() -> Result<(), Error> {
        let for_data = SeccompCmpOp::MaskedEq(PROT_EXEC.cast_unsigned().into());
        let for_data = SeccompCondition::new(2, SeccompCmpArgLen::Dword, for_data, 0)?;
        let for_data = SeccompRule::new(vec![for_data])?;
        let calls = CALLS.into_iter().map(|call| (call, Vec::new()));
        let calls = calls.chain(CALLS_FOR_DATA.into_iter().map(|call| (call, vec![for_data.clone()])));
        let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let here = std::env::consts::ARCH.try_into()?;
        let filter = SeccompFilter::new(calls.collect::<BTreeMap<_, _>>(), refused, SeccompAction::Allow, here)?;
        apply_filter(&BpfProgram::try_from(filter)?)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::{self, Cursor, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use image::{DynamicImage, ImageFormat};
    use landlock::RulesetStatus;

    use super::*;
    use crate::media::thumbnail::thumbnail;

    /// Says to a process the test starts what it is to close.
    const CLOSE: &str = "REATTACH_TEST_CLOSE";
    /// And in which folder pictures lie, of which it makes thumbnails then: to make those themselves takes longer than it has.
    const PICTURES: &str = "REATTACH_TEST_PICTURES";

    /// What decoding has no need of and the system did all the same.
    fn allowed(listening: SocketAddr) -> Vec<&'static str> {
        let run = Command::new("/bin/true").status();
        let file = std::env::temp_dir().join(format!("{CLOSE}-{}", std::process::id()));
        let tried: [(_, io::Result<()>); 7] = [
            ("read", File::open("/etc/passwd").map(drop)),
            ("write", File::create(&file).and_then(|_| std::fs::remove_file(&file))),
            ("list", std::fs::read_dir("/").map(drop)),
            ("connect", TcpStream::connect(listening).map(drop)),
            ("datagram", UdpSocket::bind("127.0.0.1:0").map(drop)),
            ("spawn", run.and_then(|ended| ended.success().then_some(()).ok_or(io::ErrorKind::Other.into()))),
            ("thread", std::thread::Builder::new().spawn(|| ()).map(drop)),
        ];
        tried.into_iter().filter(|(_, tried)| tried.is_ok()).map(|(what, _)| what).collect()
    }

    /// One of each format thumbnails are made of, and one of 24 megapixels, in their order.
    fn put_pictures(folder: &Path) {
        let formats = [
            ImageFormat::Bmp,
            ImageFormat::Gif,
            ImageFormat::Ico,
            ImageFormat::Jpeg,
            ImageFormat::Png,
            ImageFormat::Tiff,
            ImageFormat::WebP,
        ];
        let of = |format, width, height| {
            let mut bytes = Cursor::new(Vec::new());
            // An icon is one with its transparency alone.
            let new = if format == ImageFormat::Ico { DynamicImage::new_rgba8 } else { DynamicImage::new_rgb8 };
            let picture = new(width, height);
            picture.write_to(&mut bytes, format).expect("encoded");
            bytes.into_inner()
        };
        let small = formats.map(|format| of(format, 200, 100)).into_iter();
        for (place, picture) in small.chain([of(ImageFormat::Jpeg, 6_000, 4_000)]).enumerate() {
            std::fs::write(folder.join(place.to_string()), picture).expect("a file");
        }
    }

    /// Those in the folder, where there is one.
    fn pictures() -> Vec<Vec<u8>> {
        let folder = std::env::var_os(PICTURES).map(PathBuf::from);
        let read = |place: usize| std::fs::read(folder.as_ref()?.join(place.to_string())).ok();
        (0..).map_while(read).collect()
    }

    fn in_the_cage(close_what: &str) {
        let listening = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listening.local_addr().expect("an address");
        let before = allowed(address);
        let pictures = pictures();
        let mut enforced = true;
        match close_what {
            "all" => close(),
            "resources" => limit(),
            "files" => {
                let status = linux::shut_files_and_network().expect("rules");
                enforced = status != RulesetStatus::NotEnforced;
            }
            "calls" => linux::filter_calls().expect("a filter"),
            other => panic!("there is no {other}"),
        }
        let after = allowed(address);
        let made = pictures.iter().filter(|picture| thumbnail(picture).is_ok()).count();
        let told = format!("<{before:?} {after:?} {enforced} {made}>");
        io::stdout().lock().write_all(told.as_bytes()).expect("told");
    }

    /// What a process of its own could do before and after it closed that.
    fn told_after(closing: &str, pictures: Option<&Path>) -> String {
        let name = "cli::commands::thumbnail::cage::tests::each_layer_holds_by_itself";
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child
            .args(["--exact", name, "--nocapture"])
            .env(CLOSE, closing)
            .envs(pictures.map(|folder| (PICTURES, folder)));
        let run = child.output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let told = said.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        told.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&run.stderr))).0.to_owned()
    }

    #[test]
    fn each_layer_holds_by_itself() {
        if let Ok(close_what) = std::env::var(CLOSE) {
            return in_the_cage(&close_what);
        }
        let free = r#"["read", "write", "list", "connect", "datagram", "spawn", "thread"]"#;
        let folder = tempfile::TempDir::new().expect("a folder");
        put_pictures(folder.path());
        assert_eq!(told_after("all", Some(folder.path())), format!("{free} [] true 8"));
        assert_eq!(told_after("calls", None), format!("{free} [] true 0"));
        // The limit on processes is not for root.
        let left = if rustix::process::geteuid().is_root() { r#"["thread"]"# } else { "[]" };
        assert_eq!(told_after("resources", None), format!("{free} {left} true 0"));
        // Not every kernel has Landlock, and of the older ones some leave the network alone.
        let files = told_after("files", None);
        let with = [r#"["datagram", "thread"] true"#, r#"["connect", "datagram", "thread"] true"#];
        let without = format!("{free} {free} false 0");
        let is_shut = with.iter().any(|left| files == format!("{free} {left} 0"));
        assert!(is_shut || files == without, "{files}");
    }
}
