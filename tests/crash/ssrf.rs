//! S4: whatever a tenant gives as URL, not one byte reaches an address inside the house.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docket::adapters::http_client::{HttpWebhookSender, SenderSettings};
use docket::adapters::system::{AesSealer, SystemClock};
use docket::application::ports::webhook_sender::{Message, WebhookSender};
use docket::application::webhooks::send::Sending;

use crate::receiver::{Manner, Receiver};
use crate::support::report::{Findings, bounded, turn};

/// Where honest people's names lead; never connected to by this battery.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

fn sender(allowed: Vec<IpAddr>) -> HttpWebhookSender {
    let looked_up = Arc::new(AtomicUsize::new(0));
    HttpWebhookSender::new(SenderSettings {
        connect_timeout: Duration::from_millis(300),
        timeout: Duration::from_millis(500),
        allow_http: true,
        allowed: Arc::new(move |address| allowed.contains(&address)),
        // `rebind-*` is public when it is checked and inside the house when it is connected to; `mixed-*` is both at once.
        lookup: Arc::new(move |host| {
            let turn = looked_up.fetch_add(1, Ordering::SeqCst);
            let local: IpAddr = Ipv4Addr::LOCALHOST.into();
            let found = match host.split('-').next().unwrap_or_default() {
                "rebind" if turn.is_multiple_of(2) => vec![PUBLIC],
                "mixed" => vec![PUBLIC, local],
                "metadata" => vec![Ipv4Addr::new(169, 254, 169, 254).into()],
                "mapped" => vec!["::ffff:127.0.0.1".parse().unwrap()],
                _ => vec![local],
            };
            Box::pin(async move { Ok(found) })
        }),
    })
    .unwrap()
}

/// A sender for relays that send nothing by HTTP, or only to these addresses.
pub fn sending(allowed: Vec<IpAddr>) -> Sending {
    let sealer = Arc::new(AesSealer::new(&[1; 32]).unwrap());
    Sending { sender: Arc::new(sender(allowed)), sealer, clock: Arc::new(SystemClock::new()) }
}

/// More than 150 ways to say "inside the house".
fn targets(port: u16) -> Vec<String> {
    let hosts = [
        // Loopback in every notation that URL parsers know.
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.01",
        "127.0.0.1.",
        "127.255.255.254",
        "127.0.0.2",
        "0",
        "0.0.0.0",
        "0x0",
        "00.0.0.0",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:0:127.0.0.1]",
        // NAT64, 6to4, Teredo, ISATAP-like and other carriers.
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:7f00:1::1]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[2001:db8::1]",
        "[100::1]",
        "[5f00::1]",
        // Private, shared, link-local, metadata.
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "192.168.255.255",
        "100.64.0.1",
        "100.127.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fdff::1]",
        "192.0.0.192",
        "192.0.0.170",
        "198.18.0.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "[ff02::1]",
        "[ff0e::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:192.168.0.1]",
        "[2002:a00:1::]",
        "[64:ff9b::a00:1]",
        "[64:ff9b::a9fe:a9fe]",
        // Names.
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost.localdomain",
        "inside.example",
        "rebind-1.example",
        "rebind-2.example",
        "mixed-1.example",
        "metadata-1.example",
        "mapped-1.example",
        "127.0.0.1.nip.io",
    ];
    let mut all = Vec::new();
    for host in hosts {
        all.push(format!("http://{host}:{port}/hook"));
        all.push(format!("https://{host}:{port}/"));
    }
    for odd in [
        format!("http://user:secret@127.0.0.1:{port}/"),
        format!("http://example.org@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}#@example.org/"),
        format!("http:127.0.0.1:{port}"),
        format!("http:\\\\127.0.0.1:{port}\\"),
        format!("  http://127.0.0.1:{port}/  "),
        format!("HTTP://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/?q=1"),
        format!("gopher://127.0.0.1:{port}/_x"),
        "file://127.0.0.1/etc/passwd".to_owned(),
        format!("ftp://127.0.0.1:{port}/"),
        "unix:/var/run/docker.sock".to_owned(),
        format!("//127.0.0.1:{port}/"),
        "http://".to_owned(),
        String::new(),
    ] {
        all.push(odd);
    }
    all
}

fn message(url: &str) -> Message {
    Message {
        url: url.to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        body: "{}".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_reaches_an_address_inside_the_house() {
    let _turn = turn().await;
    let (findings, canary) = (Findings::default(), Receiver::start().await);
    let port = canary.address.port();
    let strict = sender(Vec::new());
    let targets = targets(port);
    for url in &targets {
        // What is public when it is registered must still be refused when it is called.
        let refused = strict.refusal(url).await.is_some();
        let receipt = strict.send(&message(url)).await;
        let rebinding = url.contains("rebind");
        findings.expect(refused || rebinding, || format!("{url} was accepted at registration"));
        findings.expect(receipt.status.is_none(), || format!("{url} was answered: {receipt:?}"));
        findings.expect(canary.connections() == 0, || format!("{url} reached the canary"));
        if findings.count() > 0 {
            break;
        }
    }
    // Redirects: the one allowed address points at the canary in every way that HTTP knows.
    let accomplice = Receiver::start_on("127.0.0.2:0").await;
    let lenient = sender(vec![accomplice.address.ip()]);
    let mut redirects = 0;
    for status in [301, 302, 303, 307, 308] {
        for target in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
            let location = format!("location: http://{target}:{port}/\r\n").leak();
            accomplice.behave(Manner::Says(status, location, ""));
            let receipt = lenient.send(&message(&accomplice.url())).await;
            redirects += 1;
            findings.expect(receipt.status == Some(status), || format!("{status} to {target}: {receipt:?}"));
            findings
                .expect(canary.connections() == 0, || format!("a redirect {status} to {target} reached the canary"));
        }
    }
    let trials = targets.len() + redirects;
    println!("S4: {}", bounded(canary.connections(), "connections to the canary", trials));
    findings.expect(trials >= 150, || format!("only {trials} targets"));
    findings.assert_none();
}
