//! Create a case: a draft that belongs to whoever opened it.

use docket_domain::case::{EventType, NewCase, fields};
use docket_domain::principal::Scope;

use super::unit_of_work::{CaseWriting, plain};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::case_store::RowChange;
use crate::application::request::{Caller, Claim, Presenter, Written};

/// Creates a draft. `new` is the parsed input or what was wrong with it, because authorization and replay come first.
pub async fn create_case(
    writing: &CaseWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    new: Result<NewCase, Vec<Invalid>>,
    presenter: &dyn Presenter,
) -> Result<Written, UseCaseError> {
    caller.require_scope(Scope::CasesWrite)?;
    // Before the key is looked up: whoever lost the role must not read the answer stored when it still had it.
    fields::may_create(&caller.actor).map_err(|refusal| UseCaseError::Forbidden(refusal.to_string()))?;
    let claim = claim.ok_or(UseCaseError::KeyMissing)?;
    writing
        .create(caller, claim, presenter, |id, now| {
            let mut new = new.clone().map_err(UseCaseError::Invalid)?;
            if new.reference.is_empty() {
                new.reference = generated_reference(id.0);
            }
            let case = fields::create(id, new, &caller.actor, now)
                .map_err(|refusal| UseCaseError::Forbidden(refusal.to_string()))?;
            Ok(plain(RowChange::Insert, case, "case.create".to_owned(), EventType::CaseCreated, None))
        })
        .await
}

/// A reference for a case that came without one: `DKT-` and the 62 random bits of its UUIDv7 in Crockford's base 32.
fn generated_reference(id: uuid::Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bits = id.as_u128() & ((1 << 62) - 1);
    let mut digits = [0_u8; 13];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
    format!("DKT-{}", String::from_utf8_lossy(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_references_keep_the_random_bits_of_the_id() {
        let one = generated_reference(uuid::Uuid::from_u128(1));
        assert_eq!(one, "DKT-0000000000001");
        assert_eq!(generated_reference(uuid::Uuid::from_u128((1 << 62) - 1)).len(), one.len());
        assert_ne!(generated_reference(uuid::Uuid::from_u128(32)), one);
    }
}
