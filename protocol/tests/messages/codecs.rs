//! All messages as one list, so that a test can walk over them without naming them.

use std::fmt;

use leat_protocol::messages::{self, Message, Request};
use leat_protocol::table::layout::Layout;
use leat_protocol::wire::{Error, Reader, Writer};
use leat_protocol::{ApiKey, Bytes};

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// One message, its type erased.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) api: ApiKey,
    pub(crate) side: Side,
    pub(crate) layout: &'static Layout,
    pub(crate) decode: fn(Bytes, i16) -> Result<Decoded, Error>,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.layout.name)
    }
}

/// What a message was decoded to, and what became of it when it was encoded again.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) shown: String,
    pub(crate) encoded: Bytes,
}

/// Decodes all of `frame`, encodes what was decoded, decodes that, and insists that the two are equal.
fn there_and_back<M: Message + fmt::Debug + PartialEq>(frame: Bytes, version: i16) -> Result<Decoded, Error> {
    let mut r = Reader::new(frame);
    let message = M::decode(&mut r, version)?;
    r.expect_end()?;
    let encoded = encode(&message, version);
    let again = M::decode(&mut Reader::new(encoded.clone()), version).expect("own bytes decode");
    assert_eq!(message, again);
    Ok(Decoded { shown: format!("{message:?}"), encoded })
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("what was decoded can be encoded");
    w.finish_bytes().expect("nothing external")
}

fn both<R>() -> [Codec; 2]
where
    R: Request + fmt::Debug + PartialEq,
    R::Response: fmt::Debug + PartialEq,
{
    [
        Codec { api: R::KEY, side: Side::Request, layout: R::LAYOUT, decode: there_and_back::<R> },
        Codec { api: R::KEY, side: Side::Response, layout: R::Response::LAYOUT, decode: there_and_back::<R::Response> },
    ]
}

/// Every message; [`every_api_is_here`] sees to it that none is missing.
pub(crate) fn all() -> Vec<Codec> {
    [
        both::<messages::ProduceRequest>(),
        both::<messages::FetchRequest>(),
        both::<messages::ListOffsetsRequest>(),
        both::<messages::MetadataRequest>(),
        both::<messages::OffsetCommitRequest>(),
        both::<messages::OffsetFetchRequest>(),
        both::<messages::FindCoordinatorRequest>(),
        both::<messages::JoinGroupRequest>(),
        both::<messages::HeartbeatRequest>(),
        both::<messages::LeaveGroupRequest>(),
        both::<messages::SyncGroupRequest>(),
        both::<messages::DescribeGroupsRequest>(),
        both::<messages::ListGroupsRequest>(),
        both::<messages::ApiVersionsRequest>(),
        both::<messages::CreateTopicsRequest>(),
        both::<messages::DeleteTopicsRequest>(),
        both::<messages::DeleteRecordsRequest>(),
        both::<messages::InitProducerIdRequest>(),
        both::<messages::OffsetForLeaderEpochRequest>(),
        both::<messages::DescribeConfigsRequest>(),
        both::<messages::AlterConfigsRequest>(),
        both::<messages::DescribeLogDirsRequest>(),
        both::<messages::CreatePartitionsRequest>(),
        both::<messages::DeleteGroupsRequest>(),
        both::<messages::ElectLeadersRequest>(),
        both::<messages::IncrementalAlterConfigsRequest>(),
        both::<messages::AlterPartitionReassignmentsRequest>(),
        both::<messages::ListPartitionReassignmentsRequest>(),
        both::<messages::OffsetDeleteRequest>(),
        both::<messages::DescribeQuorumRequest>(),
        both::<messages::DescribeClusterRequest>(),
        both::<messages::DescribeProducersRequest>(),
        both::<messages::UnregisterBrokerRequest>(),
        both::<messages::ListConfigResourcesRequest>(),
        both::<messages::DescribeTopicPartitionsRequest>(),
    ]
    .concat()
}

/// The one message of this API in this direction.
pub(crate) fn find(api: ApiKey, side: Side) -> Codec {
    let found = all().into_iter().find(|codec| codec.api == api && codec.side == side);
    found.expect("every API has both")
}

#[test]
fn every_api_is_here() {
    let here: Vec<ApiKey> = all().iter().filter(|codec| codec.side == Side::Request).map(|codec| codec.api).collect();
    let table: Vec<ApiKey> = leat_protocol::APIS.iter().map(|api| api.key).collect();
    assert_eq!(here, table);
}
