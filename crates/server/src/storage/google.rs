//! Addresses of objects in Google Cloud Storage that need no credentials, signed with the key of a service account
//! ([V4 signatures](https://cloud.google.com/storage/docs/authentication/signatures)).
//!
//! `object_store` has this too, but encodes the slashes in names, which Google's own tests of signatures forbid; and without
//! a key it asks another service of Google's for each address.

use std::fs;
use std::time::{Duration, SystemTime};

use object_store::Error;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::signer::{Method, Url};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::hex;

const ADDRESS: &str = "https://storage.googleapis.com";
const ALGORITHM: &str = "GOOG4-RSA-SHA256";
/// What is written otherwise in queries.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is written otherwise in the names of objects.
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// The key of a service account, as Google gives it out.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
}

/// Signs addresses of objects in one bucket.
pub(super) struct Signer {
    /// Of the bucket.
    address: Url,
    account: String,
    key: Box<dyn rustls::sign::Signer>,
}

impl Signer {
    /// A signer for what `builder` will make a client of; none without the key of a service account.
    pub(super) fn of(builder: &GoogleCloudStorageBuilder, bucket: &str) -> Option<Self> {
        let value = |key| builder.get_config_value(&key);
        let from_file = |key| fs::read_to_string(value(key)?).ok();
        // What is wrong with a key the client tells that is made with it.
        let key = value(GoogleConfigKey::ServiceAccountKey)
            .or_else(|| from_file(GoogleConfigKey::ServiceAccount))
            .or_else(|| from_file(GoogleConfigKey::ApplicationCredentials))?;
        let address = value(GoogleConfigKey::BaseUrl);
        Self::new(&key, address.as_deref().unwrap_or(ADDRESS), bucket)
    }

    fn new(key: &str, address: &str, bucket: &str) -> Option<Self> {
        let ServiceAccount { client_email, private_key } = serde_json::from_str(key).ok()?;
        let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes()).ok()?;
        let key = any_supported_type(&key).ok()?.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
        let address = format!("{}/{bucket}", address.trim_end_matches('/')).parse().ok()?;
        Some(Self { address, account: client_email, key })
    }

    /// An address of an object that is good for `expiry` from `now` on.
    ///
    /// # Errors
    /// When the key is not one that signs.
    pub(super) fn sign(
        &self,
        method: &Method,
        name: &str,
        expiry: Duration,
        now: SystemTime,
    ) -> Result<Url, Error> {
        let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/auto/storage/goog4_request");
        let account = format!("{}/{scope}", self.account);
        let account = utf8_percent_encode(&account, IN_QUERY);
        let seconds = expiry.as_secs();
        // In the order of the names, as they are signed.
        let query = format!(
            "X-Goog-Algorithm={ALGORITHM}&X-Goog-Credential={account}&X-Goog-Date={time}&X-Goog-Expires={seconds}\
             &X-Goog-SignedHeaders=host"
        );
        let path = format!("{}/{}", self.address.path(), utf8_percent_encode(name, IN_PATH));
        // Google leaves the port out, whatever it is.
        let host = self.address.host_str().unwrap_or_default();
        let request = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let signed = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let signature = self
            .key
            .sign(signed.as_bytes())
            .map_err(|error| Error::Generic { store: "GCS", source: error.into() })?;
        let mut url = self.address.clone();
        url.set_path(&path);
        url.set_query(Some(&format!("{query}&X-Goog-Signature={}", hex(&signature))));
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE_ACCOUNT: &str = include_str!("../../testdata/google-signatures/service-account.json");
    const SIGNATURES: &str = include_str!("../../testdata/google-signatures/signatures.json");

    /// A case as Google has it.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        description: String,
        bucket: String,
        object: String,
        /// Seconds.
        expiration: u64,
        timestamp: String,
        scheme: String,
        hostname: Option<String>,
        expected_url: String,
    }

    #[test]
    fn signatures_are_those_that_google_expects() {
        let cases: Vec<Case> = serde_json::from_str(SIGNATURES).expect("cases");
        assert_eq!(cases.len(), 5);
        for case in cases {
            let address = case.hostname.map(|host| format!("{}://{host}/", case.scheme));
            let signer = Signer::new(SERVICE_ACCOUNT, address.as_deref().unwrap_or(ADDRESS), &case.bucket);
            let now = humantime::parse_rfc3339(&case.timestamp).expect("a time");
            let expiry = Duration::from_secs(case.expiration);
            let url = signer.expect("a key").sign(&Method::GET, &case.object, expiry, now).expect("signed");
            assert_eq!(url.as_str(), case.expected_url, "{}", case.description);
        }
    }

    #[test]
    fn what_is_no_key_of_a_service_account_signs_nothing() {
        for key in
            ["", "{}", r#"{"type": "authorized_user"}"#, r#"{"client_email": "a", "private_key": "b"}"#]
        {
            assert!(Signer::new(key, ADDRESS, "bucket").is_none(), "{key}");
        }
    }
}
