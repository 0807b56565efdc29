//! The kernel's tables of internet sockets: `/proc/PID/net/{tcp,tcp6,udp,udp6}`, each in the network of that process.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::facts::{Known, Unknown};
use crate::host::Host;

/// `TCP_ESTABLISHED` of the kernel.
const ESTABLISHED: u8 = 1;
/// `TCP_FIN_WAIT2` and `TCP_CLOSE_WAIT`: one side has said its last word, the other still speaks.
const HALF_OPEN: [u8; 2] = [5, 8];
/// `TCP_CLOSE`: what an unconnected UDP socket shows.
const CLOSE: u8 = 7;
/// `TCP_LISTEN` of the kernel.
const LISTEN: u8 = 10;
/// Start of Linux's default range of ephemeral ports: an unconnected UDP socket above it is most likely a client.
const EPHEMERAL: u16 = 32768;

/// One socket. IPv4 addresses in IPv6 sockets are given as IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Own end.
    pub local: SocketAddr,
    /// Other end; unspecified when not connected.
    pub remote: SocketAddr,
    /// The kernel's number for the state.
    state: u8,
    /// Number of the socket, as in `/proc/PID/fd`.
    pub inode: u64,
}

impl Socket {
    /// A connection over which data can flow, in one direction at least.
    pub fn established(&self) -> bool {
        // Without an inode no process holds it any more: the kernel is only waiting for it to be over.
        self.state == ESTABLISHED || HALF_OPEN.contains(&self.state) && self.inode != 0
    }
}

/// TCP sockets in the network of a process.
///
/// # Errors
/// When a table cannot be read. A missing `tcp6` is a kernel without IPv6, not an error.
pub fn tcp(host: &dyn Host, pid: u32) -> Known<Vec<Socket>> {
    let mut sockets = table(host, pid, "tcp")?.ok_or_else(|| Unknown(format!("/proc/{pid}/net/tcp is not there")))?;
    sockets.extend(table(host, pid, "tcp6")?.unwrap_or_default());
    Ok(sockets)
}

/// Ports in the network of a process where others can reach a listener, such as `80/tcp`; loopback is left out.
///
/// # Errors
/// When a table cannot be read.
pub fn listeners(host: &dyn Host, pid: u32) -> Known<Vec<String>> {
    let reachable = |socket: &&Socket| !socket.local.ip().is_loopback();
    let mut ports: Vec<(u16, &str)> = Vec::new();
    let all = tcp(host, pid)?;
    ports.extend(all.iter().filter(reachable).filter(|s| s.state == LISTEN).map(|s| (s.local.port(), "tcp")));
    for name in ["udp", "udp6"] {
        let all = table(host, pid, name)?.unwrap_or_default();
        let bound = |s: &&Socket| s.state == CLOSE && (1..EPHEMERAL).contains(&s.local.port());
        ports.extend(all.iter().filter(reachable).filter(bound).map(|s| (s.local.port(), "udp")));
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports.into_iter().map(|(port, kind)| format!("{port}/{kind}")).collect())
}

/// Where these ports are open in the network of a process: the address and `tcp` or `udp`. Of UDP every socket that is
/// not connected counts.
///
/// # Errors
/// When a table cannot be read.
pub fn open(host: &dyn Host, pid: u32, ports: &[u16]) -> Known<Vec<(SocketAddr, &'static str)>> {
    let wanted = |socket: &Socket, state: u8| socket.state == state && ports.contains(&socket.local.port());
    let mut found: Vec<(SocketAddr, &str)> =
        tcp(host, pid)?.iter().filter(|socket| wanted(socket, LISTEN)).map(|socket| (socket.local, "tcp")).collect();
    for name in ["udp", "udp6"] {
        let all = table(host, pid, name)?.unwrap_or_default();
        found.extend(all.iter().filter(|socket| wanted(socket, CLOSE)).map(|socket| (socket.local, "udp")));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn table(host: &dyn Host, pid: u32, name: &str) -> Known<Option<Vec<Socket>>> {
    let path = format!("/proc/{pid}/net/{name}");
    match host.read(Path::new(&path)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).lines().filter_map(line).collect())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unknown(format!("{path}: {error}"))),
    }
}

fn line(text: &str) -> Option<Socket> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    Some(Socket {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// `0100007F:1F90`: each 32-bit word of the address is printed as a number of the machine that holds the address in
/// network order, so its bytes in the machine's own order are the address.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    let ip = match words?.concat().as_slice() {
        &[a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        bytes => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_families() {
        let v4 =
            line("   0: 0100007F:1F90 0200A8C0:C001 01 00000000:00000000 00:00000000 00000000  0  0 4711 1").unwrap();
        assert_eq!(v4.local, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(v4.remote, "192.168.0.2:49153".parse().unwrap());
        assert!(v4.established() && v4.inode == 4711);
        let v6 =
            line("1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1");
        assert_eq!(v6.unwrap().local, "[::1]:80".parse().unwrap());
        let half =
            |state, inode| line(&format!("0: 0:0 0:0 {state} 0 0 0 0 0 {inode} 1").replace("0:0", "00000000:0050"));
        assert!(half("08", 7).unwrap().established());
        assert!(!half("05", 0).unwrap().established() && !half("06", 7).unwrap().established());
        let mapped = address("0000000000000000FFFF0000020011AC:0050").unwrap();
        assert_eq!(mapped, "172.17.0.2:80".parse().unwrap());
    }

    #[test]
    fn headings_are_no_sockets() {
        assert_eq!(line("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"), None);
    }
}
