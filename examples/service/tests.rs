//! The service's own tests. Each ends with nothing left behind, or fails and names what is.

use std::time::Duration;

use heapsite::leak::assert_no_leaks;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::lifecycle::{Service, Settings};
use crate::load;
use crate::upstream::Remote;

/// Runs `test` with a service of its own, on a runtime of its own: all of it within the check.
fn with_service<F: Future<Output = crate::Result<()>>>(
    test: impl FnOnce(std::net::SocketAddr) -> F,
) {
    let run = async {
        let remote = Remote::start().await?;
        let settings = Settings {
            deadline: Duration::from_millis(300),
            ..Settings::to(remote.address)
        };
        let service = Service::start(settings).await?;
        test(service.address).await?;
        service.stop().await?;
        remote.stop().await
    };
    assert_no_leaks! {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(run).expect("the service answers as it should");
    }
}

async fn get(address: std::net::SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    load::ask(&mut stream, &request).await
}

#[test]
fn a_quote_is_fetched_once_and_then_cached() {
    with_service(async |address| {
        let (status, first) = get(address, "/quote/ABC").await?;
        assert_eq!((status, first.as_str()), (200, "ABC 710.70"));
        assert_eq!(get(address, "/quote/ABC").await?.1, first);
        assert_eq!(get(address, "/quote/UNKNOWN").await?.0, 502);
        Ok(())
    });
}

#[test]
fn a_slow_quote_ends_with_the_deadline() {
    with_service(async |address| {
        let (status, _) = get(address, "/quote/SLOW").await?;
        assert!(status == 502 || status == 504, "{status}");
        Ok(())
    });
}

#[test]
fn orders_are_worked_off_before_the_service_has_stopped() {
    with_service(async |address| {
        let mut stream = TcpStream::connect(address).await?;
        for customer in 1..100 {
            let body = format!(r#"{{"customer":{customer},"items":["pen"]}}"#);
            let length = body.len();
            let request = format!(
                "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            assert_eq!(load::ask(&mut stream, &request).await?.0, 202);
        }
        Ok(())
    });
}

#[test]
fn clients_that_hang_up_leave_nothing() {
    with_service(async |address| {
        let sent = load::send(address, 4, Instant::now() + Duration::from_millis(300)).await?;
        drop(sent);
        sleep(Duration::from_millis(50)).await;
        Ok(())
    });
}

#[test]
fn the_metrics_are_there() {
    with_service(async |address| {
        let (status, text) = get(address, "/metrics").await?;
        assert_eq!(status, 200);
        for name in [
            "heapsite_live_bytes ",
            "tokio_alive_tasks ",
            "process_open_fds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
        }
        Ok(())
    });
}
