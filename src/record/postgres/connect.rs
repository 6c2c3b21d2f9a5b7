//! Connections to whichever of an address's hosts will do, none of which can keep us from the others for long.

use std::io;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::ServerAddress;
use super::fault::Fault;
use super::tls;

/// How long all hosts together have, besides the first wait for each that says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A connection of its own to the server at `address`, which may take no longer than its connector's patience.
pub(super) async fn connect(address: &ServerAddress) -> Result<(Client, Connection<Socket, Stream>), Fault> {
    let connector = Connector::new(address.clone()).map_err(|error| Fault::Unfit(error.to_string()))?;
    let connected = timeout(connector.patience(), connector.connect()).await;
    Ok(connected.map_err(|_| Fault::Silence)??)
}

/// What makes connections to one address.
#[derive(Clone)]
pub(super) struct Connector {
    address: ServerAddress,
    tls: MakeRustlsConnect,
}

impl Connector {
    pub(super) fn new(address: ServerAddress) -> io::Result<Self> {
        let tls = tls::connector(address.trust())?;
        Ok(Self { address, tls })
    }

    /// How long a connection may take, the network, TLS and the server's word together.
    pub(super) fn patience(&self) -> Duration {
        let others = u32::try_from(self.address.hosts().len() - 1).unwrap_or_default();
        PATIENCE + self.address.connect() * others
    }

    /// A connection to the first host that will do, in any order; an error where all refuse. A host that says nothing has
    /// the address's time-out, and twice that when it is its turn again: it keeps nobody from the others, and a slow one
    /// is not given up. Whoever waits for it gives up in time.
    ///
    /// The client has a limit of its own, but stops its watch where the network has let it through: a host that accepts
    /// and then says nothing would be waited for, and no other tried.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), Error> {
        let mut hosts: Vec<_> = self.address.hosts().iter().collect();
        if let [only] = hosts.as_slice() {
            return only.connect(self.tls.clone()).await;
        }
        fastrand::shuffle(&mut hosts);
        let mut limit = self.address.connect();
        loop {
            let (mut refusal, mut is_silent) = (None, false);
            for host in &hosts {
                match timeout(limit, host.connect(self.tls.clone())).await {
                    Ok(Ok(connected)) => return Ok(connected),
                    Ok(Err(error)) => refusal = Some(error),
                    Err(_) => is_silent = true,
                }
            }
            match refusal {
                Some(error) if !is_silent => return Err(error),
                _ => limit *= 2,
            }
        }
    }
}

impl deadpool_postgres::Connect for Connector {
    fn connect(&self, _: &tokio_postgres::Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async {
            let (client, connection) = self.connect().await?;
            let carried = async {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the record has ended");
                }
            };
            Ok((client, tokio::spawn(carried)))
        }
        .boxed()
    }
}
