//! Where objects lie: `content/<tenant>/<aa>/<sha256>` and `staged/<uuid>`.

use docket_domain::ids::TenantId;
use object_store::path::Path;
use uuid::Uuid;

use crate::application::ports::blob_store::{ContentAddress, StoredObject};

/// The place of content; two digits of the hash spread it over folders.
pub(super) fn content(address: ContentAddress) -> Path {
    let digest = hex::encode(address.sha256);
    Path::from_iter(["content", &address.tenant_id.to_string(), &digest[..2], &digest])
}

/// The place of staged bytes.
pub(super) fn staged(id: Uuid) -> Path {
    Path::from_iter(["staged", &id.to_string()])
}

/// What lies at a place; none for places that are none of ours.
pub(super) fn parse(path: &Path) -> Option<StoredObject> {
    let parts: Vec<_> = path.parts().map(|part| part.as_ref().to_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let object = match parts.as_slice() {
        ["staged", id] => StoredObject::Staged(id.parse().ok()?),
        ["content", tenant, _, digest] => StoredObject::Content(ContentAddress {
            tenant_id: TenantId(tenant.parse().ok()?),
            sha256: hex::decode(digest).ok()?.try_into().ok()?,
        }),
        _ => return None,
    };
    let canonical = match object {
        StoredObject::Staged(id) => staged(id),
        StoredObject::Content(address) => content(address),
    };
    (canonical == *path).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_and_foreign_ones_are_ignored() {
        let address = ContentAddress { tenant_id: TenantId(Uuid::from_u128(7)), sha256: [0xab; 32] };
        assert!(content(address).as_ref().starts_with("content/00000000-0000-0000-0000-000000000007/ab/abab"));
        assert_eq!(parse(&content(address)), Some(StoredObject::Content(address)));
        assert_eq!(parse(&staged(Uuid::from_u128(3))), Some(StoredObject::Staged(Uuid::from_u128(3))));
        let moved = content(address).as_ref().replace("/ab/", "/cd/");
        for foreign in ["", "lost+found", "staged/x", "content/x/y/z", &moved] {
            assert_eq!(parse(&Path::from(foreign)), None, "{foreign}");
        }
    }
}
