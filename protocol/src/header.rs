//! What stands in front of a request and of a response, and whole frames ready to send.
//!
//! Source: Kafka's RequestHeader.json and ResponseHeader.json; KIP-482 for the flexible forms, KIP-511 for the
//! exception that an ApiVersions response makes.

use crate::messages::{Message, Request};
use crate::wire::{Error, Part, Reader, Writer};
use crate::{ApiKey, Str};

/// The header of a request, version 1 or 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// The API's number; it may be one that [`ApiKey`] does not know.
    pub api_key: i16,
    /// The version of the body; it may be one that is not known.
    pub api_version: i16,
    /// Comes back with the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Reads a header in the version that its first two fields call for. For an API that is not known that is
    /// version 1, which is enough to answer or to log.
    pub fn decode(r: &mut Reader) -> Result<Self, Error> {
        let (api_key, api_version) = (r.i16()?, r.i16()?);
        let correlation_id = r.i32()?;
        // The one string that is never compact, so that any broker can read it.
        let client_id = match r.string_len(false)? {
            Some(len) => Some(r.string(len).map_err(|e| e.at("RequestHeader.client_id"))?),
            None => None,
        };
        let header = Self { api_key, api_version, correlation_id, client_id };
        if header.is_flexible() {
            r.tagged_fields(|_, _| Ok(false)).map_err(|e| e.at("RequestHeader"))?;
        }
        Ok(header)
    }

    /// Writes the header.
    pub fn encode(&self, w: &mut Writer) -> Result<(), Error> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.string_len(self.client_id.as_ref().map(|id| id.len()), false).map_err(|e| e.at("RequestHeader.client_id"))?;
        if let Some(client_id) = &self.client_id {
            w.slice(client_id.as_bytes());
        }
        if self.is_flexible() {
            w.uvarint(0);
        }
        Ok(())
    }

    fn is_flexible(&self) -> bool {
        ApiKey::from_i16(self.api_key).is_some_and(|api| self.api_version >= api.flexible_since())
    }
}

/// The header of a response, version 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a response to `api` in `version`.
    pub fn decode(r: &mut Reader, api: ApiKey, version: i16) -> Result<Self, Error> {
        let correlation_id = r.i32()?;
        if Self::is_flexible(api, version) {
            r.tagged_fields(|_, _| Ok(false)).map_err(|e| e.at("ResponseHeader"))?;
        }
        Ok(Self { correlation_id })
    }

    /// Writes the header of a response to `api` in `version`.
    pub fn encode(self, w: &mut Writer, api: ApiKey, version: i16) {
        w.i32(self.correlation_id);
        if Self::is_flexible(api, version) {
            w.uvarint(0);
        }
    }

    /// A client that asks for a version the broker lacks must be able to read the answer, so the header of an
    /// ApiVersions response never changes.
    fn is_flexible(api: ApiKey, version: i16) -> bool {
        api != ApiKey::ApiVersions && version >= api.flexible_since()
    }
}

/// A request ready to send: size, header, body. `header` names the API and the version.
pub fn encode_request<R: Request>(header: &RequestHeader, body: &R) -> Result<Vec<Part>, Error> {
    debug_assert_eq!(header.api_key, R::KEY as i16, "the header names another API than the body");
    let mut w = Writer::new();
    w.i32(0);
    header.encode(&mut w)?;
    body.encode(&mut w, header.api_version)?;
    w.set_size_prefix()?;
    Ok(w.finish())
}

/// A response ready to send: size, header, body. External parts count into the size.
pub fn encode_response<M: Message>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Vec<Part>, Error> {
    let mut w = Writer::new();
    w.i32(0);
    ResponseHeader { correlation_id }.encode(&mut w, api, version);
    body.encode(&mut w, version)?;
    w.set_size_prefix()?;
    Ok(w.finish())
}
