//! Groups: who is in them, what they have committed, and taking that back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leat_protocol::consumer_protocol::{self, ConsumerProtocolAssignment, ConsumerProtocolTopicPartitions};
use leat_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, DescribedGroup, DescribedGroupMember, ListGroupsRequest,
    ListGroupsResponse, ListedGroup, OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use leat_protocol::{ErrorCode, Str};

use super::{Admin, Node, To, missing};
use crate::committed::{self, Identity};
use crate::coordinator::Coordinator;
use crate::net::Connection;
use crate::{CommittedOffset, Error, TopicPartition};

/// A group, as its coordinator lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group: Str,
    /// `consumer`, `connect`, ...; empty where only offsets were committed.
    pub protocol_type: Str,
    /// `None` where the broker is too old to say.
    pub state: Option<Str>,
    /// `classic`, `consumer`, ...; `None` where the broker is too old to say.
    pub group_type: Option<Str>,
}

/// A classic group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: Str,
    /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Dead`: there is no such group.
    pub state: Str,
    pub protocol_type: Str,
    /// The assignor that the members agreed on.
    pub assignor: Str,
    pub coordinator: Node,
    /// By id.
    pub members: Vec<GroupMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub id: Str,
    /// The name of a static member.
    pub instance: Option<Str>,
    pub client_id: Str,
    pub host: Str,
    /// Empty while the group rebalances, and for members that are no consumers.
    pub assignment: Vec<TopicPartition>,
}

impl Admin {
    /// The groups of all brokers, by name.
    ///
    /// # Errors
    /// Some broker did not answer within `default.api.timeout.ms`.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        let brokers = self.describe_cluster().await?.brokers;
        let answers = join_all(brokers.iter().map(|broker| self.list_groups_at(broker.id))).await;
        let mut groups = BTreeMap::new();
        for answer in answers {
            groups.extend(answer?.into_iter().map(|group| (group.group.clone(), group)));
        }
        Ok(groups.into_values().collect())
    }

    async fn list_groups_at(&self, node: i32) -> Result<Vec<GroupListing>, Error> {
        let check = |response: &ListGroupsResponse| {
            Error::check(response.error_code, None, || format!("groups of broker {node}"))
        };
        let response = self.call(To::Node(node), &ListGroupsRequest::default(), check).await?;
        let known = |text: Str| (!text.is_empty()).then_some(text);
        let listing = |group: ListedGroup| GroupListing {
            group: group.group_id,
            protocol_type: group.protocol_type,
            state: known(group.group_state),
            group_type: known(group.group_type),
        };
        Ok(response.groups.into_iter().map(listing).collect())
    }

    /// Classic groups with their members, in the order asked. A group that is not there is `Dead`.
    ///
    /// # Errors
    /// Each group has its own.
    pub async fn describe_groups(&self, groups: &[&str]) -> Vec<Result<GroupDescription, Error>> {
        join_all(groups.iter().map(|group| self.describe_group(group))).await
    }

    async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let coordinator = self.coordinator(group);
        let request = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
        let (limit, timeout) = self.limits();
        let ask = |connection: Arc<Connection>| {
            let request = &request;
            async move {
                let mut response = connection.call(request, timeout).await?;
                let Some(mut found) = response.groups.pop() else { return missing("DescribeGroups", group) };
                if found.error_code == ErrorCode::GROUP_ID_NOT_FOUND {
                    found = DescribedGroup { group_state: "Dead".into(), ..DescribedGroup::default() };
                }
                Error::check(found.error_code, found.error_message.as_deref(), || format!("group {group}"))?;
                Ok(found)
            }
        };
        let found = coordinator.call("the description", limit, ask).await?;
        let mut members: Vec<_> = found.members.into_iter().map(member).collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(GroupDescription {
            group: group.into(),
            state: found.group_state,
            protocol_type: found.protocol_type,
            assignor: found.protocol_data,
            coordinator: coordinator.node().await?,
            members,
        })
    }

    /// All that a group has committed.
    ///
    /// # Errors
    /// The offsets could not be asked for within `default.api.timeout.ms`.
    pub async fn list_group_offsets(&self, group: &str) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Error> {
        let coordinator = self.coordinator(group);
        let (limit, timeout) = self.limits();
        let ask = |connection: Arc<Connection>| {
            let group = coordinator.group();
            async move {
                let results = committed::fetch(&connection, timeout, group, None, false).await?;
                committed::passing(&results)?;
                Ok(results)
            }
        };
        let results = coordinator.call("the offsets", limit, ask).await?;
        let rows = results.into_iter().map(|(partition, result)| Ok((partition, result?)));
        let rows: Vec<_> = rows.collect::<Result<_, Error>>()?;
        Ok(rows.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }

    /// Sets what a group without members has committed. Results are in the order asked.
    ///
    /// # Errors
    /// The coordinator did not answer within `default.api.timeout.ms`.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let coordinator = self.coordinator(group);
        let (limit, timeout) = self.limits();
        let all: HashMap<_, _> = offsets.iter().cloned().collect();
        let ask = |connection: Arc<Connection>| {
            let (group, all) = (coordinator.group(), &all);
            async move {
                let results = committed::commit(&connection, timeout, group, &Identity::default(), all).await?;
                // A topic that is not there would be asked for again and again.
                let unknown = |error: &Error| error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                match committed::passing(&results) {
                    Err(error) if !unknown(&error) => Err(error),
                    _ => Ok(results),
                }
            }
        };
        let results = coordinator.call("the change of offsets", limit, ask).await?;
        let one = |partition| results.get(partition).cloned().unwrap_or_else(|| missing("OffsetCommit", partition));
        Ok(offsets.iter().map(|(partition, _)| one(partition)).collect())
    }

    /// Deletes groups without members together with their offsets. Results are in the order asked.
    ///
    /// # Errors
    /// Each group has its own.
    pub async fn delete_groups(&self, groups: &[&str]) -> Vec<Result<(), Error>> {
        join_all(groups.iter().map(|group| self.delete_group(group))).await
    }

    async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let coordinator = self.coordinator(group);
        let request = DeleteGroupsRequest { groups_names: vec![group.into()] };
        let (limit, timeout) = self.limits();
        let ask = |connection: Arc<Connection>| {
            let request = &request;
            async move {
                let response = connection.call(request, timeout).await?;
                let Some(result) = response.results.first() else { return missing("DeleteGroups", group) };
                Error::check(result.error_code, None, || format!("deletion of group {group}"))
            }
        };
        coordinator.call("the deletion", limit, ask).await
    }

    /// Deletes what a group has committed for partitions of topics that none of its members reads. Results are in the
    /// order asked.
    ///
    /// # Errors
    /// There is no such group, or its coordinator did not answer within `default.api.timeout.ms`.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let coordinator = self.coordinator(group);
        let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
        for TopicPartition { topic, partition } in partitions {
            let row = OffsetDeleteRequestPartition { partition_index: *partition };
            match topics.iter_mut().find(|known| known.name == *topic) {
                Some(known) => known.partitions.push(row),
                None => topics.push(OffsetDeleteRequestTopic { name: topic.clone(), partitions: vec![row] }),
            }
        }
        let request = OffsetDeleteRequest { group_id: group.into(), topics };
        let (limit, timeout) = self.limits();
        let ask = |connection: Arc<Connection>| {
            let request = &request;
            async move {
                let response = connection.call(request, timeout).await?;
                Error::check(response.error_code, None, || format!("offsets of group {group}"))?;
                Ok(response)
            }
        };
        let response = coordinator.call("the deletion of offsets", limit, ask).await?;
        let one = |partition: &TopicPartition| {
            let rows = response.topics.iter().filter(|topic| topic.name == partition.topic);
            let row = rows.flat_map(|topic| &topic.partitions).find(|row| row.partition_index == partition.partition);
            let Some(row) = row else { return missing("OffsetDelete", partition) };
            Error::check(row.error_code, None, || format!("offset of {partition} of group {group}"))
        };
        Ok(partitions.iter().map(one).collect())
    }

    fn coordinator(&self, group: &str) -> Coordinator {
        Coordinator::new(self.cluster.clone(), group.into())
    }

    /// How long a call and how long one request may take.
    fn limits(&self) -> (Duration, Duration) {
        let config = self.cluster.config();
        (config.default_api_timeout, config.request_timeout)
    }
}

fn member(member: DescribedGroupMember) -> GroupMember {
    // What is no assignment of consumers is not shown.
    let assignment = consumer_protocol::read::<ConsumerProtocolAssignment>(member.member_assignment);
    let topics = assignment.map(|assignment| assignment.assigned_partitions).unwrap_or_default();
    let of = |topic: ConsumerProtocolTopicPartitions| {
        topic.partitions.into_iter().map(move |partition| TopicPartition { topic: topic.topic.clone(), partition })
    };
    let mut assignment: Vec<_> = topics.into_iter().flat_map(of).collect();
    assignment.sort();
    GroupMember {
        id: member.member_id,
        instance: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assignment,
    }
}
