//! Two connections at work at the same time. Start `tresor serve`, then:
//!
//!     cargo run -p tresor-client --features async --example async_session -- 127.0.0.1:7379

use tresor_client::{AsyncClient, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7379".to_owned());
    talk(&address).await
}

/// What the example does.
pub(crate) async fn talk(address: &str) -> Result<()> {
    let (one, other) = tokio::join!(write(address, "one"), write(address, "other"));
    one?;
    other?;
    let mut client = AsyncClient::connect(address).await?;
    for (key, value) in client.show_all().await?.entries {
        println!("{} = {value}", String::from_utf8_lossy(&key));
    }
    client.disconnect().await
}

async fn write(address: &str, name: &str) -> Result<()> {
    let mut client = AsyncClient::connect(address).await?;
    let transaction = client.begin().await?;
    client.put_in(transaction, name, "written").await?;
    client.commit(transaction).await?;
    client.disconnect().await
}
