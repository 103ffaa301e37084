//! What answers of S3 mean that are no success: errors have a code, which says more than the status.

use std::time::SystemTime;

use kopia_storage::Failure;

use super::address::region_of;
use crate::http::{Answer, Origin, Request, Verdict, date};
use crate::xml;

/// The text of an error.
#[derive(Debug, Default)]
struct Told {
    code: String,
    message: String,
    region: Option<String>,
    endpoint: Option<String>,
    class: Option<String>,
}

/// Who asked for what, for the words of failures.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) bucket: &'a str,
    pub(super) region: &'a str,
    /// Where the credentials came from; `None` if there are none.
    pub(super) credentials: Option<&'a str>,
    /// Where credentials were looked for.
    pub(super) looked: &'a str,
}

impl Asker<'_> {
    /// Says what an answer means.
    pub(super) fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let told = read(answer);
        if let Some(failure) = self.elsewhere(answer, &told) {
            return Verdict::Fail(failure);
        }
        match &*told.code {
            "" => self.by_status(request, answer),
            "NoSuchKey" | "NoSuchVersion" => Verdict::Missing,
            "NoSuchBucket" | "InvalidBucketName" | "NoSuchUpload" => Verdict::Fail(Failure::NoContainer {
                kind: "bucket",
                name: self.bucket.into(),
                host: answer.host.clone(),
            }),
            "SlowDown"
            | "SlowDownRead"
            | "ServiceUnavailable"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "Throttling"
            | "ThrottlingException"
            | "XMinioServerNotInitialized" => Verdict::Again(busy(answer)),
            "InternalError" | "RequestTimeout" | "OperationAborted" | "RequestExpired" => {
                Verdict::Again(answer.refusal(&told.code, &told.message))
            }
            "RequestTimeTooSkewed" => self.skewed(answer, &told),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Verdict::Renew(Failure::Expired { credentials: self.source() })
            }
            "InvalidAccessKeyId"
            | "InvalidToken"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException" => Verdict::Renew(Failure::WrongKey {
                host: answer.host.clone(),
                credentials: self.source(),
                message: told.message,
            }),
            "SignatureDoesNotMatch" => {
                Verdict::Fail(Failure::WrongSecret { host: answer.host.clone(), credentials: self.source() })
            }
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem" => {
                Verdict::Fail(self.not_permitted(request, answer))
            }
            "GlacierExpeditedRetrievalNotAvailable" => {
                Verdict::Fail(answer.refusal(&told.code, &told.message))
            }
            "InvalidObjectState" => {
                let class = told.class.unwrap_or_else(|| "GLACIER or DEEP_ARCHIVE".into());
                Verdict::Fail(Failure::Cold { class })
            }
            _ if matches!(answer.status, 429 | 503) => Verdict::Again(busy(answer)),
            _ if matches!(answer.status, 408 | 500..=599) => {
                Verdict::Again(answer.refusal(&told.code, &told.message))
            }
            _ => Verdict::Fail(answer.refusal(&told.code, &told.message)),
        }
    }

    /// Goes by the status where there is no body, as after `HEAD`, or one that no S3 server writes.
    fn by_status(&self, request: &Request, answer: &Answer) -> Verdict {
        match answer.status {
            403 if answer.body.is_empty() => Verdict::Fail(self.not_permitted(request, answer)),
            // A web server says 404 as well, and more.
            404 if !answer.body.is_empty() => Verdict::Fail(answer.nonsense()),
            _ => Verdict::by_status(answer),
        }
    }

    /// Returns the failure that the bucket is in another region, if that is what the answer says.
    fn elsewhere(&self, answer: &Answer, told: &Told) -> Option<Failure> {
        let redirects = matches!(answer.status, 301 | 307);
        let of_location = || {
            let (origin, ..) = Origin::of_url(answer.header("location").filter(|_| redirects)?).ok()?;
            region_of(origin.host()).map(str::to_string)
        };
        let codes = [
            "AuthorizationHeaderMalformed",
            "InvalidRegion",
            "PermanentRedirect",
            "TemporaryRedirect",
            "IllegalLocationConstraintException",
        ];
        let of_header = answer.header("x-amz-bucket-region").map(str::to_string).or_else(of_location);
        if !(codes.contains(&&*told.code) || (of_header.is_some() && (redirects || answer.status == 400))) {
            return None;
        }
        let of_endpoint = || told.endpoint.as_deref().and_then(region_of).map(str::to_string);
        let region = told.region.clone().or(of_header).or_else(of_endpoint);
        let region = region.filter(|region| !region.is_empty() && region != self.region);
        Some(Failure::WrongRegion { bucket: self.bucket.into(), asked: self.region.into(), region })
    }

    fn skewed(&self, answer: &Answer, told: &Told) -> Verdict {
        let Some(there) = answer.date() else {
            return Verdict::Fail(answer.refusal(&told.code, &told.message));
        };
        let seconds = date::ahead(SystemTime::now(), there);
        Verdict::Renew(Failure::ClockSkew { host: answer.host.clone(), seconds })
    }

    fn not_permitted(&self, request: &Request, answer: &Answer) -> Failure {
        let host = answer.host.clone();
        let Some(credentials) = self.credentials else {
            return Failure::NoCredentials { host, looked: self.looked.into() };
        };
        let (action, right) = asked_for(request);
        Failure::NotPermitted {
            host,
            action: format!("{action} bucket {}", self.bucket),
            credentials: credentials.into(),
            right: Some(right.into()),
        }
    }

    fn source(&self) -> String {
        self.credentials.unwrap_or("nowhere").into()
    }
}

fn busy(answer: &Answer) -> Failure {
    Failure::Busy { host: answer.host.clone(), status: answer.status }
}

/// Says what a request is for, and which right it takes.
fn asked_for(request: &Request) -> (&'static str, &'static str) {
    let query = request.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let names = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    if names("location") {
        ("asking for the region of", "s3:GetBucketLocation")
    } else if names("versioning") {
        ("asking for the versioning of", "s3:GetBucketVersioning")
    } else if names("versions") {
        ("listing versions in", "s3:ListBucketVersions")
    } else if names("list-type") {
        ("listing", "s3:ListBucket")
    } else if names("restore") {
        ("restoring from cold storage in", "s3:RestoreObject")
    } else if names("versionId") {
        ("reading a version in", "s3:GetObjectVersion")
    } else {
        ("reading", "s3:GetObject, or s3:ListBucket if the blob is missing,")
    }
}

fn read(answer: &Answer) -> Told {
    let mut told = Told::default();
    // STS has the error one level deeper. What is no XML has no code.
    let read = xml::walk(&answer.body, |path, text| match path.trim_start_matches("ErrorResponse/") {
        "Error/Code" => told.code = text.into(),
        "Error/Message" => told.message = text.into(),
        "Error/Region" => told.region = Some(text.into()),
        "Error/Endpoint" => told.endpoint = Some(text.into()),
        "Error/StorageClass" => told.class = Some(text.into()),
        _ => {}
    });
    if read.is_ok() { told } else { Told::default() }
}
