//! **copier**: one TCP proxy that copies bytes and understands nothing.

use anyhow::Result;
use tokio::net::TcpStream;

pub fn serve(to: &str) -> Result<()> {
    let to = to.to_owned();
    super::on_one_thread(async move {
        let listener = super::announced(0).await?;
        loop {
            let (mut client, _) = listener.accept().await?;
            let to = to.clone();
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                let mut server = TcpStream::connect(to).await?;
                server.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    })
}
