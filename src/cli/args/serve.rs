//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::values::{address, duration};

/// `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  reattach serve --library banners --print-url
  reattach serve --library banners --library products --renew-every 6h
  reattach serve --library banners --listen 0.0.0.0:7766 --host media.example:7766 \\
       --tls-cert cert.pem --tls-key key.pem
  curl -H \"Authorization: Bearer $(cat ~/.local/share/reattach/serve.token)\" \\
       -d '{\"refs\":[\"hero.png\"]}' http://127.0.0.1:7766/v1/resolve

The tokens lie in the store's folder: serve.token may do everything, serve-read.token may look.
GET /openapi.json describes the API; docs/SERVICE.md says how to run it.")]
pub(in crate::cli) struct ServeArgs {
    /// Where to listen; port 0 for any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7766", value_parser = address)]
    pub(in crate::cli) listen: SocketAddr,
    /// A folder whose files may be named by path, and that is shown; may be given more than once.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) library: Vec<PathBuf>,
    /// Print a link that signs a browser in.
    #[arg(long)]
    pub(in crate::cli) print_url: bool,
    /// A name, with its port, by which it is called besides its address; may be given more than once.
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::cli) host: Vec<String>,
    /// The certificate to show, with its chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(in crate::cli) tls_cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(in crate::cli) tls_key: Option<PathBuf>,
    /// Write the log as JSON, a line for each thing that happens.
    #[arg(long)]
    pub(in crate::cli) log_json: bool,
    /// Renew ids that are due, again and again, with this much time between.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) renew_every: Option<Duration>,
}
