//! `serve`: the service beside a bot, and the gallery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;

use crate::cli::args::ServeArgs;
use crate::cli::context::{Context, WhenAway};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown;
use crate::cli::values::human_span;
use crate::library::{AssetLibrary, AssetOutcome, AssetReport, PlanRules, RefreshOptions, Renewal};
use crate::media::Bounds;
use crate::service::{Keys, ServedPage, Service, ServiceParts, Tls, UnservedPage};

/// Uploads at once, for each Page.
const UPLOADS: usize = 4;

/// `{"event":"serving"}`: where it listens.
#[derive(Serialize)]
struct ServingEvent<'a> {
    event: &'static str,
    url: &'a str,
    /// A link that signs a browser in, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    page_url: Option<&'a str>,
    token_file: PathBuf,
}

pub(super) async fn run(context: &Context, args: ServeArgs) -> Result<Exit, Failure> {
    keep_out_of_core_dumps();
    have_files_enough();
    for folder in &args.library {
        if !folder.is_dir() {
            return Err(Failure::Usage {
                message: format!("there is no folder {}", shown(folder)),
                hint: "--library names a folder of media".into(),
            });
        }
    }
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::load(certificate, key)?),
        _ => None,
    };
    let mut context = Context { bounds: Arc::new(Bounds::new(&args.library)), ..context.clone() };
    if let Some(key) = &args.tls_key {
        context.settings.private = Arc::new(context.settings.private.and(key.clone()));
    }
    let context = &context;
    let inspector = context.inspector();
    // A bot gets the ids that are known here, though the record's server be away just now.
    let known = context.known(|| Arc::clone(&inspector.cache), WhenAway::GoByWhatIsKnown).await?;
    let sessions = context.sessions(&*known).await?;
    let first = context.settings.page.all()?.first().and_then(|page| page.name.clone());
    let mut unserved = Vec::new();
    for (name, failure) in sessions.failed {
        let is_first = first.as_ref() == Some(&name);
        if is_first && failure.exit() != Exit::Credentials {
            // It may pass: whoever started this starts it again.
            return Err(failure);
        }
        failure.print_of(&name, &context.output);
        unserved.push(UnservedPage { why: failure.to_string(), is_first, name });
    }
    let libraries = context.libraries(&sessions.open, &known, &inspector, UPLOADS, None);
    let pages = sessions.open.into_iter().zip(&libraries).map(|(session, library)| ServedPage {
        identity: session.page,
        name: session.name,
        library: library.clone(),
        graph: session.graph,
        attachment_type: context.settings.attachment_type(),
    });
    let keys = Keys::load(&context.settings.store)?;
    let listen = |source| Failure::Listen { address: args.listen, source };
    let listener = TcpListener::bind(args.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let called = called(address, &args.host);
    // A proxy that is called so speaks TLS in its place.
    let scheme = if tls.is_some() || called.ends_with(":443") { "https" } else { "http" };
    let url = format!("{scheme}://{called}");
    announce(context, &args, &url, &keys);
    if !address.ip().is_loopback() && tls.is_none() {
        context.output.note(
            "listening beyond this machine without TLS: whoever is on the way can read the token (--tls-cert, --tls-key)",
        );
    }
    let parts = ServiceParts {
        record: Arc::clone(known.record()),
        pages: pages.collect(),
        unserved,
        folders: args.library,
        inspector,
        keys,
        hosts: args.host,
        tls,
        thumbnails: context.settings.store.join("thumbnails"),
        thumbnailer: std::env::current_exe().ok(),
        clock: Arc::clone(&context.clock),
        stop: context.stop.clone(),
    };
    let renewing = args.renew_every.map(|every| {
        let context = context.clone();
        tokio::spawn(async move { renew(&context, &libraries, every).await })
    });
    let served = Service::new(parts, address).serve(listener).await;
    if let Some(renewing) = renewing {
        // It hears of the stop as well, and finishes what is under way.
        let _ = renewing.await;
    }
    served.map_err(listen)?;
    // To be stopped is how a service ends well.
    Ok(Exit::Done)
}

/// What it is called by whoever follows its link: by its address, unless that means every address. Then its first name is
/// meant, or this machine.
fn called(address: SocketAddr, hosts: &[String]) -> String {
    let name = hosts.iter().find(|name| !name.is_empty());
    match (address.ip(), name) {
        (ip, _) if !ip.is_unspecified() => address.to_string(),
        (_, Some(name)) => name.clone(),
        (IpAddr::V4(_), None) => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())).to_string(),
        (IpAddr::V6(_), None) => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())).to_string(),
    }
}

fn announce(context: &Context, args: &ServeArgs, url: &str, keys: &Keys) {
    let output = &context.output;
    let page_url = args.print_url.then(|| format!("{url}/#token={}", keys.expose()));
    let token_file = Keys::file(&context.settings.store);
    output.event(&ServingEvent {
        event: "serving",
        url,
        page_url: page_url.as_deref(),
        token_file: token_file.clone(),
    });
    match &page_url {
        Some(link) => output.result(link),
        None => output.result(format_args!("serving on {}", output.palette.strong(url))),
    }
    output.remark(format_args!("  the token for it lies in {}; Ctrl-C stops it", shown(&token_file)));
    output.flush();
}

/// Renews what is due, and again when `every` has passed.
async fn renew(context: &Context, libraries: &[AssetLibrary], every: Duration) {
    let options = RefreshOptions { rules: PlanRules::USUAL, dry_run: false, max_uploads: None, max_bytes: None };
    loop {
        let mut failed = 0_u64;
        let each = |_, report: &AssetReport| failed += u64::from(report.outcome == AssetOutcome::Failed);
        match AssetLibrary::refresh_all(libraries, &Renewal::AllDue, &options, &context.stop, each).await {
            Ok(done) => {
                let renewed: u64 = done.iter().map(|page| page.summary.refreshed).sum();
                let halted: Vec<_> = done.iter().filter_map(|page| page.halted_by.as_ref()).collect();
                tracing::info!(renewed, failed, "renewed what was due");
                for error in halted {
                    tracing::warn!(%error, "not everything that was due could be renewed");
                }
            }
            Err(error) => tracing::warn!(%error, again_in = %human_span(every), "nothing could be renewed"),
        }
        tokio::select! {
            () = context.stop.requested() => return,
            () = context.machine_clock.sleep(every) => {}
        }
    }
}

/// A connection is an open file, and the record needs some whatever comes. Systems let a process have more than it begins with.
fn have_files_enough() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const ENOUGH: u64 = 8_192;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!(%error, "there may be too few open files for all connections");
    }
}

/// Tokens are in this process's memory, and a core file would hold them.
fn keep_out_of_core_dumps() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a core dump of this process would hold its tokens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_name_that_can_be_called() {
        let link = |address: &str, hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
            called(address.parse().expect("an address"), &hosts)
        };
        let names = ["media.example:7766", "other.example:7766"];
        assert_eq!(link("0.0.0.0:7766", &names), "media.example:7766");
        assert_eq!(link("[::]:7766", &names), "media.example:7766");
        assert_eq!(link("0.0.0.0:7766", &[]), "127.0.0.1:7766");
        assert_eq!(link("0.0.0.0:7766", &[""]), "127.0.0.1:7766", "an empty variable");
        assert_eq!(link("[::]:7766", &[]), "[::1]:7766");
        assert_eq!(link("127.0.0.1:7766", &names), "127.0.0.1:7766");
        assert_eq!(link("192.0.2.1:7766", &[]), "192.0.2.1:7766");
    }
}
