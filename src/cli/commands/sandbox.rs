//! `sandbox`: a local Graph API for demos and tests.

use serde::Serialize;

use crate::cli::args::SandboxArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::sandbox::{self, SandboxOptions, SandboxPage};

/// `{"event":"sandbox"}`: where it listens and for which Pages.
#[derive(Serialize)]
struct SandboxEvent<'a> {
    event: &'static str,
    url: &'a str,
    pages: &'a [SandboxPage],
}

pub(super) async fn run(context: &Context, args: SandboxArgs) -> Result<Exit, Failure> {
    let output = &context.output;
    let sandbox =
        sandbox::start(SandboxOptions { port: args.port, state_file: args.state, ..SandboxOptions::default() }).await?;
    let pages = sandbox.pages();
    output.event(&SandboxEvent { event: "sandbox", url: sandbox.url(), pages });
    output.result(format_args!("sandbox listening on {}", output.palette.strong(sandbox.url())));
    for page in pages {
        output.result(format_args!("  Page {}  {:<18} token {}", page.id, page.name, page.access_token));
    }
    output.remark(format_args!(
        "\nUse it from another terminal:\n  export REATTACH_GRAPH_URL={} REATTACH_ACCESS_TOKEN={}\n\nCtrl-C stops it.",
        sandbox.url(),
        pages[0].access_token,
    ));
    output.flush();
    tokio::select! {
        () = context.stop.requested() => {}
        () = sandbox.wait() => {}
    }
    sandbox.shutdown().await?;
    // To be stopped is how a sandbox ends well.
    Ok(Exit::Done)
}
