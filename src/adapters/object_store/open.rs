//! Opening the store that the configuration names.

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;

use super::ObjectBlobStore;

/// How to reach an S3-compatible service; see the configuration's section `storage`.
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    /// The endpoint; none for AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The access key; none for the environment's credentials (instance role, web identity).
    pub access_key_id: Option<String>,
    /// The secret key.
    pub secret_access_key: Option<String>,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no known form.
    #[error("storage.url must be file:PATH or s3://BUCKET/PREFIX")]
    Url,
    /// The directory cannot be made.
    #[error("cannot make the directory for evidence")]
    Directory(#[source] std::io::Error),
    /// The store refuses its settings.
    #[error("the store for evidence refuses its settings")]
    Store(#[from] object_store::Error),
}

/// Opens `file:PATH` (made if missing) or `s3://BUCKET/PREFIX`.
pub fn open(url: &str, s3: &S3Settings) -> Result<ObjectBlobStore, OpenError> {
    if let Some(path) = url.strip_prefix("file:") {
        std::fs::create_dir_all(path).map_err(OpenError::Directory)?;
        // Bytes and their directory entries are on the disk before a row may speak of them.
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        return Ok(ObjectBlobStore::in_directory(store, path.into()));
    }
    let rest = url.strip_prefix("s3://").ok_or(OpenError::Url)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(&s3.region);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let (Some(id), Some(secret)) = (&s3.access_key_id, &s3.secret_access_key) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    let store = builder.build()?;
    Ok(if prefix.is_empty() {
        ObjectBlobStore::new(store)
    } else {
        ObjectBlobStore::new(PrefixStore::new(store, prefix))
    })
}
