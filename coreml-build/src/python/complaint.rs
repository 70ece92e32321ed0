//! What the output of pip and uv says about a failure.
//!
//! Owns: the signs; the text of other programs is all that there is to go by.
//! Flow: `installer.rs` → [`Cause::of`].

/// What pip and uv print when a download is not what its hash promises.
const HASH_SIGNS: [&str; 2] = ["hash mismatch", "do not match the hashes"];

/// What they print when the disk is full.
const DISK_SIGNS: [&str; 3] = ["no space left on device", "os error 28", "errno 28"];

/// What they print when there is no network.
const NETWORK_SIGNS: [&str; 16] = [
    "newconnectionerror",
    "nameresolutionerror",
    "connecttimeouterror",
    "proxyerror",
    "temporary failure in name resolution",
    "name or service not known",
    "nodename nor servname",
    "network is unreachable",
    "connection refused",
    "connection reset",
    "dns error",
    "error sending request",
    "failed to fetch",
    "request failed after",
    "operation timed out",
    "network connectivity is disabled",
];

/// What pip prints when the index has no file of a package for this system.
const DISTRIBUTION_SIGNS: [&str; 1] = ["no matching distribution"];

/// Why an installer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The disk is full.
    Disk,
    /// A download is not the file whose hash is pinned.
    Hash,
    /// The package index does not answer.
    Network,
    /// The index has no file of the package for this system.
    Distribution,
    /// Something else.
    Other,
}

impl Cause {
    /// Reads the output of a failed command.
    pub(super) fn of(output: &str) -> Self {
        let output = output.to_ascii_lowercase();
        // Without a network pip also says that there is no matching distribution.
        let signs: [(&[&str], Self); 4] = [
            (&DISK_SIGNS, Self::Disk),
            (&HASH_SIGNS, Self::Hash),
            (&NETWORK_SIGNS, Self::Network),
            (&DISTRIBUTION_SIGNS, Self::Distribution),
        ];
        let found = signs.into_iter().find(|(signs, _)| signs.iter().any(|s| output.contains(s)));
        found.map_or(Self::Other, |(_, cause)| cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_counts() {
        let no_file = "ERROR: No matching distribution found for uv==0.9";
        let no_network = "WARNING: Retrying after NewConnectionError('refused')";
        assert_eq!(Cause::of(no_file), Cause::Distribution);
        assert_eq!(Cause::of(&format!("{no_network}\n{no_file}")), Cause::Network);
        assert_eq!(Cause::of("OSError: [Errno 28] No space left on device"), Cause::Disk);
        assert_eq!(Cause::of("THESE PACKAGES DO NOT MATCH THE HASHES"), Cause::Hash);
        assert_eq!(Cause::of("error: invalid syntax"), Cause::Other);
    }
}
