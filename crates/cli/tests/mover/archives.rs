//! Repositories whose blobs lie in an archive: a Job asks for them if it is told to, and for no others.

use kopia_testkit::writer::RepositoryWriter;

use crate::bucket::Bucket;
use crate::common::{Job, Pod, names, restored, snapshot};

const APP: &str = "app@media:/data";
const TIME: &str = "2026-01-01T00:00:00Z";

fn bucket() -> Bucket {
    let mut writer = RepositoryWriter::new().pack_size(1);
    snapshot(&mut writer, APP, TIME);
    Bucket::new(writer.finish())
}

fn job(pod: &Pod, bucket: &Bucket) -> Job {
    pod.job(APP)
        .env("KOPIA_REPOSITORY", "s3://bucket")
        .env("KOPIA_S3_ENDPOINT", bucket.address())
        .env("KOPIA_S3_DISABLE_TLS", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
}

#[test]
fn a_job_asks_if_it_is_told_to_and_a_later_one_goes_on() {
    let (pod, bucket) = (Pod::new(), bucket());
    bucket.archive("p", "GLACIER");
    let said = job(&pod, &bucket).run().exits(1).never_says(&["No eligible", "No data will"]);
    let said = said.ends_with(&[
        "ERROR: unable to restore app@media:/data: ",
        "archive",
        "in GLACIER",
        "KOPIA_RS_THAW=bulk",
    ]);
    said.says(&["INFO: ", "bulk 5 to 12 h"]);
    assert_eq!((bucket.asked().len(), bucket.refused()), (0, 0));
    let later = ["ERROR: unable to restore", "being fetched from an archive", "KOPIA_RS_THAW_WAIT=true"];
    let by_arguments = job(&pod, &bucket).additional(&["--thaw=standard", "--days", "3"]);
    by_arguments.run().exits(1).ends_with(&later).says(&["INFO: ", "asked for with tier standard"]);
    let asked = bucket.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.blob.starts_with('p')));
    assert!(asked.iter().all(|it| it.body.contains("<Days>3</Days>") && it.body.contains("Standard")));
    // Nobody asks again, whatever is given.
    job(&pod, &bucket).env("KOPIA_RS_THAW", "bulk").run().exits(1).ends_with(&later);
    job(&pod, &bucket).run().exits(1).ends_with(&later);
    assert_eq!((bucket.asked().len(), bucket.refused()), (asked.len(), 0));
    assert!(names(&pod.volume()).is_empty());
    bucket.arrive();
    job(&pod, &bucket).run().exits(0).ends_with(&["Snapshot restore completed successfully"]);
    assert_eq!(restored(&pod), TIME);
}

#[test]
fn a_job_can_wait_through_all_rounds() {
    let (pod, bucket) = (Pod::new(), bucket());
    bucket.archive("", "DEEP_ARCHIVE");
    bucket.arrive_after(1);
    let variables = [("KOPIA_RS_THAW", "bulk"), ("KOPIA_RS_THAW_DAYS", "2"), ("KOPIA_RS_THAW_WAIT", "true")];
    let job = variables.iter().fold(job(&pod, &bucket), |job, (name, value)| job.env(name, value));
    job.run().exits(0).says(&["INFO: waiting for "]).ends_with(&["Snapshot restore completed successfully"]);
    assert_eq!(restored(&pod), TIME);
    assert!(bucket.asked().iter().all(|asked| asked.body.contains("<Days>2</Days>")));
    assert_eq!(bucket.refused(), 0);
}

#[test]
fn what_makes_no_sense_is_said_by_its_name() {
    let (pod, bucket) = (Pod::new(), bucket());
    for (name, value, says) in [
        ("KOPIA_RS_THAW", "fast", "KOPIA_RS_THAW is \"fast\""),
        ("KOPIA_RS_THAW_DAYS", "0", "KOPIA_RS_THAW_DAYS is \"0\""),
        ("KOPIA_RS_THAW_WAIT", "yes", "KOPIA_RS_THAW_WAIT is \"yes\""),
    ] {
        job(&pod, &bucket).env(name, value).run().exits(1).ends_with(&[says]);
    }
    bucket.archive("p", "DEEP_ARCHIVE");
    let expedited = job(&pod, &bucket).env("KOPIA_RS_THAW", "expedited");
    expedited.run().exits(1).ends_with(&["DEEP_ARCHIVE cannot be fetched", "expedited"]);
    assert!(bucket.asked().is_empty());
}
