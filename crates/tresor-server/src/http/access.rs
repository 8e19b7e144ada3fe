//! Who may ask: the rules that keep web pages and strangers out.
//!
//! A page in a browser can send requests to a loopback address. Three rules stop it: the Host has to
//! be one of ours (a page that has its own name point here is refused, 421), an Origin has to be the
//! server's own or a `--cors-origin` (403), and a POST has to carry what a page cannot send without asking first. The
//! password comes after these and is compared in constant time.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header, uri::Authority};
use tresor::Database;

use super::problem::Problem;
use crate::json::BASE64;

/// The names and addresses that requests may be addressed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
    any_address: bool,
    /// Origins besides the server's own whose pages may ask.
    origins: Vec<String>,
}

impl Hosts {
    /// The addresses that the server is bound to, and further names that stand for it. Bound to a
    /// wildcard address, any address counts as ours: an address in a Host is no name that others control.
    pub(crate) fn new(bound: &[SocketAddr], further_names: &[String]) -> Self {
        let addresses: Vec<IpAddr> = bound.iter().map(|address| address.ip().to_canonical()).collect();
        let name = |name: &String| host_of(name).unwrap_or(name).to_ascii_lowercase();
        Self {
            any_address: addresses.iter().any(IpAddr::is_unspecified),
            addresses,
            names: std::iter::once("localhost".to_owned()).chain(further_names.iter().map(name)).collect(),
            origins: Vec::new(),
        }
    }

    /// Lets pages of these origins ask too.
    pub(crate) fn with_origins(self, origins: &[String]) -> Self {
        let origins = origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        Self { origins, ..self }
    }

    /// Whether pages of some other origin may ask.
    pub(super) fn have_origins(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Whether pages of this other origin may ask.
    pub(super) fn admit_origin(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|admitted| origin.as_bytes().eq_ignore_ascii_case(admitted.as_bytes()))
    }

    /// Whether a Host (with or without a port) is one of ours.
    fn admit(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) => self.any_address || self.addresses.contains(&address.to_canonical()),
            Err(_) => self.names.iter().any(|name| name.eq_ignore_ascii_case(host)),
        }
    }
}

/// The host of `host[:port]`; `None` for anything else, user names included.
fn host_of(authority: &str) -> Option<&str> {
    let authority: &str = authority.trim_matches([' ', '\t']);
    if authority.contains('@') {
        return None;
    }
    authority.parse::<Authority>().ok()?;
    let end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let port = &authority[end..];
    let port_is_fine = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    (port_is_fine && end > 0).then(|| &authority[..end])
}

/// Checks Host and Origin. `admitted` remembers the connection's last good Host, so that only the
/// first of many equal requests pays for parsing it.
pub(super) fn check_sender(
    hosts: &Hosts,
    request: &http::request::Parts,
    admitted: &mut Option<HeaderValue>,
) -> Result<(), Problem> {
    let host = single_host(&request.headers, request.version)?;
    if admitted.as_ref() != Some(host) {
        let is_ours = host.to_str().is_ok_and(|host| hosts.admit(host));
        if !is_ours {
            return Err(misdirected());
        }
        *admitted = Some(host.clone());
    }
    if !target_is_ours(hosts, &request.uri) {
        return Err(misdirected());
    }
    match request.headers.get(header::ORIGIN) {
        Some(origin) if !is_own_origin(origin, host) && !hosts.admit_origin(origin) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "web pages of other origins may not use this server: the Origin header is not its own, and no \
             --cors-origin",
        )),
        _ => Ok(()),
    }
}

/// The one Host header. HTTP/1.1 demands it; without one nobody knows who was meant.
fn single_host(headers: &HeaderMap, version: Version) -> Result<&HeaderValue, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(host),
        (None, _) if version < Version::HTTP_11 => Err(misdirected()),
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "send exactly one Host header").closing()),
    }
}

/// An absolute request target (`GET http://name/kv`) names a host of its own.
fn target_is_ours(hosts: &Hosts, target: &Uri) -> bool {
    target.authority().is_none_or(|authority| hosts.admit(authority.as_str()))
}

fn misdirected() -> Problem {
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "the Host header names another server: use localhost or the bound address, or start the server \
         with --allowed-host",
    )
}

fn is_own_origin(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let own = || {
        let (scheme, authority) = origin.to_str().ok()?.split_once("://")?;
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let plain = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
        Some(plain(authority) == plain(host.to_str().ok()?.trim()))
    };
    own().unwrap_or(false)
}

/// Checks that a request that changes something by POST is one that a page of another origin cannot
/// send without asking first.
pub(super) fn check_post(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let is_deliberate = || {
        matches!(media_type(headers).as_deref(), Some("application/json" | "application/x-ndjson"))
            || headers.keys().any(|name| name == "x-requested-with" || name.as_str().starts_with("x-tresor-"))
    };
    if method != Method::POST || is_deliberate() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "POST needs Content-Type: application/json or an X-Requested-With header",
    ))
}

/// The Content-Type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!media_type.is_empty()).then_some(media_type)
}

/// Checks the password, where there is one: `Bearer password`, or Basic with any user name.
pub(super) fn check_password(database: &Database, headers: &HeaderMap) -> Result<(), Problem> {
    let settings = database.settings();
    if !settings.needs_password() {
        return Ok(());
    }
    let given = headers.get(header::AUTHORIZATION).and_then(password_of);
    match given {
        Some(password) if settings.is_password(&password) => Ok(()),
        given => {
            let detail = if given.is_some() { "wrong password" } else { "a password is needed" };
            Err(Problem::from(tresor::Error::new(tresor::ErrorKind::Unauthorized, detail))
                .with(header::WWW_AUTHENTICATE, "Bearer realm=\"tresor\"")
                .with(header::WWW_AUTHENTICATE, "Basic realm=\"tresor\", charset=\"UTF-8\""))
        }
    }
}

fn password_of(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let bytes = authorization.as_bytes();
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let (scheme, credentials) = (&bytes[..blank], bytes[blank..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(credentials.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = BASE64.decode(credentials).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}
