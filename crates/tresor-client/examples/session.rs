//! A session of two transactions, one of them taken back. Start `tresor serve`, then:
//!
//!     cargo run -p tresor-client --example session -- 127.0.0.1:7379

use tresor_client::{Client, Result};

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7379".to_owned());
    talk(&address)
}

/// What the example does.
pub(crate) fn talk(address: &str) -> Result<()> {
    let mut client = Client::connect(address)?;
    let name = client.begin()?;
    client.put_in(name, "nameofkey", "value999")?;

    let house = client.begin()?;
    client.put_in(house, "house", "large")?;
    client.put_in(house, "house", "small")?;
    let undone = client.rollback(house)?;
    println!("house is back to {}", undone.value.expect("it was large before it was small"));
    println!("{} key goes", client.delete_written(house)?);

    println!("{} transactions are committed", client.commit_all()?);
    for (key, value) in client.show_all()?.entries {
        println!("{} = {value}", String::from_utf8_lossy(&key));
    }
    client.disconnect()
}
