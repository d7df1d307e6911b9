//! The forged tokens of S7: each would let somebody in who has no right to, if one check were missing.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::issuer::{AUDIENCE, Issuer, SigningKey, b64, now};

/// A token and what is wrong with it.
pub struct Forgery {
    pub name: String,
    pub token: String,
}

/// The issuer's keys, and one that it does not have.
pub struct Keys {
    pub rsa: SigningKey,
    pub ec: SigningKey,
    pub ed: SigningKey,
    /// A key of the forger's own.
    pub own: SigningKey,
}

impl Keys {
    /// Fresh keys.
    pub fn new() -> Self {
        Self {
            rsa: SigningKey::rsa("rsa"),
            ec: SigningKey::ec("ec"),
            ed: SigningKey::ed("ed"),
            own: SigningKey::rsa("forger"),
        }
    }

    /// What the issuer publishes: its keys, and two that it should not: exponent one, with 2048 and with 1024 bits.
    pub fn published(&self) -> Vec<Value> {
        let weak = |id: &str, bytes: usize| json!({"kty": "RSA", "use": "sig", "kid": id, "n": b64(modulus(bytes)), "e": b64([1])});
        vec![self.rsa.jwk(), self.ec.jwk(), self.ed.jwk(), weak("weak-2048", 256), weak("weak-1024", 128)]
    }
}

/// An odd number with its highest bit set.
fn modulus(bytes: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bytes];
    modulus[1] = 0xfe;
    modulus
}

/// Collects forgeries.
struct Forge<'a> {
    issuer: &'a Issuer,
    keys: &'a Keys,
    all: Vec<Forgery>,
}

/// Every forgery.
pub fn forgeries(issuer: &Issuer, keys: &Keys) -> Vec<Forgery> {
    let mut forge = Forge { issuer, keys, all: Vec::new() };
    forge.unsigned();
    forge.shared_secrets();
    forge.key_ids();
    forge.keys_of_its_own();
    forge.claims();
    forge.repeated_names();
    forge.signatures();
    forge.wrong_keys();
    forge.structure();
    forge.other_kinds();
    forge.all
}

impl Forge<'_> {
    fn add(&mut self, name: impl Into<String>, token: String) {
        self.all.push(Forgery { name: name.into(), token });
    }

    fn good(&self) -> Value {
        self.issuer.claims("mallory", "tenant-0", &["admin"])
    }

    /// The good claims with one changed, or taken away by null, signed by the issuer.
    fn changed(&mut self, name: &str, value: Value) {
        let mut claims = self.good();
        let what = format!("{name} = {:.60}", value.to_string());
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        self.add(what, self.keys.rsa.token(&claims));
    }

    fn unsigned(&mut self) {
        let claims = b64(self.good().to_string());
        let signature = b64(self.keys.rsa.sign("RS256", b"x"));
        for name in ["none", "None", "NONE", "nOnE", ""] {
            let header = b64(json!({"alg": name, "typ": "JWT"}).to_string());
            self.add(format!("alg {name:?}, no signature"), format!("{header}.{claims}."));
            self.add(format!("alg {name:?}, any signature"), format!("{header}.{claims}.{signature}"));
        }
        for value in
            [json!(null), json!(256), json!(["RS256"]), json!({"RS256": true}), json!("rs256"), json!("RS256 ")]
        {
            let header = json!({"alg": value, "kid": "rsa"}).to_string();
            self.add(format!("alg {value}"), self.keys.rsa.signed(&header, &self.good().to_string()));
        }
        let header = json!({"kid": "rsa"}).to_string();
        self.add("no alg", self.keys.rsa.signed(&header, &self.good().to_string()));
    }

    /// The public key as the secret of an HMAC (CVE-2015-9235).
    fn shared_secrets(&mut self) {
        let der = self.keys.rsa.public_bytes();
        let lines: Vec<String> = STANDARD.encode(&der).as_bytes().chunks(64).map(text).collect();
        let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----", lines.join("\n"));
        let jwk = self.keys.rsa.jwk();
        let secrets: Vec<(&str, Vec<u8>)> = vec![
            ("DER", der.clone()),
            ("PEM", pem.clone().into_bytes()),
            ("PEM with a line's end", format!("{pem}\n").into_bytes()),
            ("JWK", jwk.to_string().into_bytes()),
            ("modulus as text", jwk["n"].as_str().unwrap().as_bytes().to_vec()),
            ("point of the EC key", self.keys.ec.public_bytes()),
            ("Ed25519 key", self.keys.ed.public_bytes()),
            ("empty secret", Vec::new()),
            ("key id", b"rsa".to_vec()),
        ];
        for (name, secret) in secrets {
            self.add(format!("HS256 with the {name}"), self.hmac("HS256", hmac::HMAC_SHA256, &secret, "rsa"));
        }
        for (name, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
            self.add(format!("{name} with the PEM"), self.hmac(name, algorithm, pem.as_bytes(), "rsa"));
        }
    }

    fn hmac(&self, name: &str, algorithm: hmac::Algorithm, secret: &[u8], id: &str) -> String {
        let message = format!("{}.{}", b64(json!({"alg": name, "kid": id}).to_string()), b64(self.good().to_string()));
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
        format!("{message}.{}", b64(tag.as_ref()))
    }

    fn key_ids(&mut self) {
        for (id, secret) in [("../../../../../../dev/null", ""), ("x' UNION SELECT 'secret' --", "secret")] {
            self.add(
                format!("kid {id:?} and its secret"),
                self.hmac("HS256", hmac::HMAC_SHA256, secret.as_bytes(), id),
            );
        }
        let canary = format!("{}/canary/kid", self.issuer.url);
        for id in [
            json!("../../../etc/passwd"),
            json!("' OR 1=1 --"),
            json!("rsa\u{0}"),
            json!(""),
            json!(canary),
            json!("$(id)"),
            json!(null),
            json!(["rsa"]),
            json!({"rsa": 1}),
            json!("k".repeat(5_000)),
        ] {
            let header = json!({"alg": "RS256", "kid": id}).to_string();
            self.add(format!("kid {:.40}", id.to_string()), self.keys.own.signed(&header, &self.good().to_string()));
        }
    }

    /// Keys that the token brings along or points at: nobody may fetch them.
    fn keys_of_its_own(&mut self) {
        let (good, canary) = (self.good().to_string(), format!("{}/canary", self.issuer.url));
        let (own, chain) = (self.keys.own.jwk(), json!([STANDARD.encode(self.keys.own.public_bytes())]));
        for (name, value) in [("jku", json!(canary)), ("x5u", json!(canary)), ("jwk", own), ("x5c", chain)] {
            for id in ["forger", "rsa"] {
                let header = json!({"alg": "RS256", "kid": id, name: value}).to_string();
                self.add(format!("{name} with kid {id}"), self.keys.own.signed(&header, &good));
            }
        }
        let mut elsewhere = self.good();
        elsewhere["iss"] = json!(canary);
        self.add("an issuer of its own", self.keys.own.token(&elsewhere));
    }

    fn claims(&mut self) {
        let url = self.issuer.url.clone();
        for value in [json!("https://other.example"), json!(format!("{url}/")), json!([url]), json!({}), json!(null)] {
            self.changed("iss", value);
        }
        for value in [
            json!("another-api"),
            json!(["another-api", "third-api"]),
            json!([]),
            json!(null),
            json!("docket"),
            json!("DOCKET-API"),
            json!(format!("{AUDIENCE} another-api")),
            json!({AUDIENCE: true}),
            json!([[AUDIENCE]]),
            json!([AUDIENCE, 7]),
            json!("*"),
        ] {
            self.changed("aud", value);
        }
        let soon = now() + 300;
        for value in [
            json!(now() - 3_600),
            json!(soon.to_string()),
            json!(1e300),
            json!(-1),
            json!(u64::MAX),
            json!(i64::MAX),
            json!(0),
            json!(null),
            json!([soon]),
            json!(true),
            json!(now() + 10_000_000),
        ] {
            self.changed("exp", value);
        }
        let fraction = self.good().to_string().replace(&format!("\"exp\":{soon}"), &format!("\"exp\":{soon}.5"));
        let header = json!({"alg": "RS256", "kid": "rsa"}).to_string();
        self.add("exp with a fraction", self.keys.rsa.signed(&header, &fraction));
        for (name, value) in [
            ("nbf", json!(now() + 3_600)),
            ("nbf", json!("0")),
            ("iat", json!(now() + 3_600)),
            ("iat", json!([0])),
            ("sub", json!(null)),
            ("sub", json!("")),
            ("sub", json!(1)),
            ("sub", json!("mallory\u{0}admin")),
            ("sub", json!("m".repeat(256))),
            ("tenant", json!(null)),
            ("tenant", json!("platform")),
            ("tenant", json!("00000000-0000-0000-0000-000000000000")),
            ("tenant", json!("tenant-9")),
            ("tenant", json!(["tenant-0", "tenant-1"])),
            ("tenant", json!("tenant-0' OR '1'='1")),
            ("tenant", json!(0)),
            ("roles", json!({"admin": true})),
            ("roles", json!([["admin"]])),
            ("roles", json!([1, "admin"])),
            ("roles", json!(true)),
            ("roles", json!("admin,reporter")),
            ("roles", json!(["operator", "system"])),
            ("roles", json!(["ADMIN", "admin ", "admin\u{0}"])),
            ("roles", json!(null)),
            ("at_hash", json!("an ID token")),
            ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
            ("cnf", json!({"jkt": "bound to a key"})),
        ] {
            self.changed(name, value);
        }
    }

    /// Two readers may believe different ones of two equal names.
    fn repeated_names(&mut self) {
        let (good, header) = (self.good().to_string(), json!({"alg": "RS256", "kid": "rsa"}).to_string());
        let end = &good[..good.len() - 1];
        for repeated in [format!("\"aud\":\"{AUDIENCE}\""), "\"roles\":[\"admin\"]".to_owned(), "\"exp\":1".to_owned()]
        {
            let token = self.keys.rsa.signed(&header, &format!("{end},{repeated}}}"));
            self.add(format!("{repeated} a second time"), token);
        }
        let twice = "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"rsa\"}";
        self.add("alg twice", self.keys.rsa.signed(twice, &good));
    }

    fn signatures(&mut self) {
        let other = self.keys.rsa.token(&self.issuer.claims("eve", "tenant-0", &["reporter"]));
        let good = self.keys.rsa.token(&self.good());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let (message, signature, header, claims) =
            (message.to_owned(), signature.to_owned(), header.to_owned(), claims.to_owned());
        let other = other.rsplit_once('.').unwrap().1.to_owned();
        let last = signature.chars().last().unwrap();
        let stray = char::from(u8::try_from(u32::from(last)).unwrap() + 1);
        let mut flipped = signature.clone().into_bytes();
        flipped[9] = if flipped[9] == b'A' { b'B' } else { b'A' };
        for (name, wrong) in [
            ("the signature of another token", other),
            ("a trimmed signature", signature[..signature.len() - 4].to_owned()),
            ("an extended signature", format!("{signature}AAAA")),
            ("no signature", String::new()),
            ("one bit of the signature changed", text(&flipped)),
            ("stray bits after the signature", format!("{}{stray}", &signature[..signature.len() - 1])),
            ("a padded signature", format!("{signature}==")),
            ("the signature of the header", b64(self.keys.rsa.sign("RS256", header.as_bytes()))),
            ("the signature of the claims", b64(self.keys.rsa.sign("RS256", claims.as_bytes()))),
            ("a PSS signature for RS256", b64(self.keys.rsa.sign("PS256", message.as_bytes()))),
            ("a signature of zeros", b64([0; 256])),
            ("a signature of one", b64([vec![0; 255], vec![1]].concat())),
        ] {
            self.add(name, format!("{message}.{wrong}"));
        }
    }

    /// A key of another kind than the algorithm's, and signatures that are valid for every message.
    fn wrong_keys(&mut self) {
        let good = self.good().to_string();
        let headed = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id}).to_string();
        for (algorithm, id) in
            [("ES256", "ed"), ("ES256", "rsa"), ("ES384", "ec"), ("EdDSA", "ec"), ("RS256", "ec"), ("RS384", "rsa")]
        {
            let key = match algorithm {
                "EdDSA" => &self.keys.ed,
                "RS256" | "RS384" => &self.keys.rsa,
                _ => &self.keys.ec,
            };
            let token = key.signed(&headed(algorithm, id), &good);
            self.add(format!("{algorithm} with the key {id}"), token);
        }
        for key in [SigningKey::ec("ec"), SigningKey::ed("ed"), SigningKey::rsa("rsa")] {
            self.add(format!("the forger's own key under the id {}", key.id), key.token(&self.good()));
        }
        // CVE-2022-21449: r = s = 0, and other numbers outside of 1..n-1.
        let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
        let (zero, one) = ([0; 32].to_vec(), [vec![0; 31], vec![1]].concat());
        let message = format!("{}.{}", b64(headed("ES256", "ec")), b64(&good));
        for (name, r, s) in [
            ("r = s = 0", &zero, &zero),
            ("r = 0", &zero, &one),
            ("s = 0", &one, &zero),
            ("r = s = n", &order, &order),
            ("r = s = 1", &one, &one),
        ] {
            self.add(format!("ECDSA with {name}"), format!("{message}.{}", b64([r.clone(), s.clone()].concat())));
        }
        self.add("an ECDSA signature in DER", format!("{message}.{}", b64([0x30, 6, 2, 1, 1, 2, 1, 1])));
        let message = format!("{}.{}", b64(headed("EdDSA", "ed")), b64(&good));
        self.add("an Ed25519 signature of zeros", format!("{message}.{}", b64([0; 64])));
        // With an exponent of one every message is its own signature.
        for (id, bytes) in [("weak-2048", 256), ("weak-1024", 128)] {
            let message = format!("{}.{}", b64(headed("RS256", id)), b64(&good));
            let token = format!("{message}.{}", b64(encoded_message(message.as_bytes(), bytes)));
            self.add(format!("the key {id} with exponent one"), token);
        }
    }

    fn structure(&mut self) {
        let good = self.keys.rsa.token(&self.good());
        let (message, _) = good.rsplit_once('.').unwrap();
        let json = json!({"payload": b64(self.good().to_string()), "signatures": []}).to_string();
        let cut = good[..good.len() / 2].to_owned();
        for (name, token) in [
            ("a token cut in half", cut),
            ("no signature part", message.to_owned()),
            ("an extra dot", format!("{good}.")),
            ("a leading dot", format!(".{good}")),
            ("two tokens in one", format!("{good}.{good}")),
            ("five parts", format!("{good}.AAAA.AAAA")),
            ("dots", "..".to_owned()),
            ("JSON serialisation", json),
            ("another alphabet", good.replacen('.', "+.", 1)),
        ] {
            self.add(name, token);
        }
        let header = json!({"alg": "RS256", "kid": "rsa"}).to_string();
        let mut large = self.good();
        large["padding"] = json!("p".repeat(20_000));
        self.add("an oversized token", self.keys.rsa.signed(&header, &large.to_string()));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
        for claims in ["[]", "null", "\"admin\"", "", "{", &deep] {
            self.add(format!("claims {claims:.20}"), self.keys.rsa.signed(&header, claims));
        }
    }

    /// Signed by the issuer, but for another use.
    fn other_kinds(&mut self) {
        let good = self.good().to_string();
        let inner = self.keys.rsa.token(&self.good());
        let mut headers = vec![];
        for (name, value) in [
            ("typ", json!("logout+jwt")),
            ("typ", json!("dpop+jwt")),
            ("typ", json!("secevent+jwt")),
            ("typ", json!(1)),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("zip", json!("DEF")),
            ("enc", json!("A256GCM")),
            ("cty", json!("JWT")),
        ] {
            headers.push(json!({"alg": "RS256", "kid": "rsa", name: value}));
        }
        headers.push(json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false}));
        for header in headers {
            self.add(format!("header {header}"), self.keys.rsa.signed(&header.to_string(), &good));
        }
        let nested = json!({"alg": "RS256", "kid": "rsa", "cty": "JWT"}).to_string();
        self.add("a token in a token", self.keys.rsa.signed(&nested, &inner));
    }
}

/// EMSA-PKCS1-v1_5 of SHA-256 (RFC 8017, section 9.2).
fn encoded_message(message: &[u8], bytes: usize) -> Vec<u8> {
    let mut info = hex::decode("3031300d060960864801650304020105000420").unwrap();
    info.extend(Sha256::digest(message));
    let padding = vec![0xff; bytes - info.len() - 3];
    [vec![0, 1], padding, vec![0], info].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
