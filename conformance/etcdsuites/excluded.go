package main

import "strings"

// Reasons why tests are excluded. None is excluded because it fails.
const (
	membership = "members that join and leave, and learners; HariKube is one server"
	raft       = "members that elect, follow and lose one another; HariKube is one server"
	behind     = "a member that has fallen behind the others; HariKube is one server"
	users      = "users and roles, which HariKube does not have; the refusals have tests of their own"
	inside     = "looks into the server, which has to be in the process of the test"
	bolt       = "opens etcd's data files, or starts etcd's own server on them"
	peerPort   = "the HTTP handlers on the port for peers"
	grpcServer = "options of the gRPC server that a test sets inside of the process"
)

// listed are tests of a package, with the reason why they are listed.
type listed struct{ pkg, reason, tests string }

// Reasons of what is listed for one store alone begin with one of these.
const (
	onEtcd     = "etcd: "
	onPostgres = "PostgreSQL: "
)

func (l listed) isFor(store string) bool {
	switch {
	case strings.HasPrefix(l.reason, onEtcd):
		return store == "etcd"
	case strings.HasPrefix(l.reason, onPostgres):
		return store == "postgres"
	default:
		return true
	}
}

// different are the tests that fail because HariKube differs from etcd on purpose (docs/etcd-api.md).
// On HariKube they are not run, but recorded as failed.
var different = []listed{
	{"integration/clientv3", onPostgres + "fills the database with values that PostgreSQL compresses", `
		TestKVPutError`},
	{"integration", onPostgres + "chooses a quota of 16 pages; an empty database has 8 MB, give or take more", `
		TestV3StorageQuotaAPI`},
	{"integration", onPostgres + "reads the database's size as a number without an exponent, below 1e6", `
		TestMetricDbSizeDefrag`},
	{"integration", "chooses the cipher suites of the server", `TestTLSClientCipherSuitesMismatch`},
}

// excluded are the tests that are not run.
var excluded = []listed{
	{"integration/clientv3", membership, `
		TestMemberList TestMemberAdd TestMemberAddWithExistingURLs TestMemberRemove TestMemberUpdate
		TestMemberUpdateLearner TestMemberAddUpdateWrongURLs TestMemberAddForLearner TestMemberPromote
		TestMemberPromoteMemberNotLearner TestMemberPromoteMemberNotExist TestMaxLearnerInCluster
		TestKVForLearner TestBalancerSupportLearner`},
	{"integration/clientv3", raft, `
		TestMaintenanceMoveLeader TestKVPutWithRequireLeader TestWatchWithRequireLeader`},
	// Asks each of three members for an id of its own.
	{"integration/clientv3", raft, `TestMaintenanceStatus`},
	{"integration/clientv3", behind, `
		TestDetectKvOrderViolation TestDetectTxnOrderViolation TestEndpointSwitchResolvesViolation
		TestUnresolvableOrderViolation`},
	{"integration/clientv3", users, `
		TestUserError TestAddUserAfterDelete TestUserErrorAuth TestGetTokenWithoutAuth
		TestMirrorSync_Authenticated`},
	{"integration/clientv3", bolt, `
		TestMaintenanceSnapshotErrorInflight TestMaintenanceSnapshotWithVersionErrorInflight`},

	{"integration/clientv3/lease", raft, `TestLeaseWithRequireLeader`},

	{"integration/clientv3/connectivity", raft, `
		TestBalancerUnderNetworkPartitionPut TestBalancerUnderNetworkPartitionDelete
		TestBalancerUnderNetworkPartitionTxn
		TestBalancerUnderNetworkPartitionLinearizableGetWithLongTimeout
		TestBalancerUnderNetworkPartitionLinearizableGetWithShortTimeout
		TestBalancerUnderNetworkPartitionSerializableGet
		TestBalancerUnderNetworkPartitionLinearizableGetLeaderElection
		TestBalancerUnderNetworkPartitionWatchLeader TestBalancerUnderNetworkPartitionWatchFollower
		TestDropReadUnderNetworkPartition TestSwitchSetEndpoints`},
	{"integration/clientv3/connectivity", membership, `TestRejectOldCluster`},

	{"integration/clientv3/examples", users, `ExampleAuth`},
	{"integration/clientv3/examples", membership, `
		ExampleCluster_memberList ExampleCluster_memberAdd ExampleCluster_memberAddAsLearner
		ExampleCluster_memberUpdate`},

	{"integration", membership, `
		TestDoubleClusterSizeOf1 TestDoubleClusterSizeOf3 TestDoubleTLSClusterSizeOf3
		TestDecreaseClusterSizeOf3 TestDecreaseClusterSizeOf5 TestForceNewCluster
		TestAddMemberAfterClusterFullRotation TestIssue2681 TestIssue2746 TestIssue2746WithThree
		TestIssue2904 TestIssue3699 TestRejectUnhealthyAdd TestRejectUnhealthyRemove
		TestRestartRemoved TestConcurrentRemoveMember TestLaunchDuplicateMemberShouldFail
		TestRemoveMember TestRemoveMemberAndWALReplay TestClusterOf3 TestTLSClusterOf3
		TestTLSClusterOf3WithSpecificUsage`},
	{"integration", raft, `
		TestConcurrentMoveLeader TestPauseMember TestNetworkPartition5MembersLeaderInMinority
		TestNetworkPartition5MembersLeaderInMajority TestNetworkPartition4Members
		TestRevisionMonotonicWithLeaderPartitions TestRevisionMonotonicWithPartitions
		TestMoveLeader TestMoveLeaderService TestMoveLeaderError TestMoveLeaderToLearnerError
		TestTransferLeadershipWithLearner TestFirstCommitNotification TestGRPCRequireLeader
		TestGRPCStreamRequireLeader TestV3LeaseFailover TestV3LeaseRequireLeader TestV3LeasePromote
		TestV3LeaseTimeToLiveWithLeaderChanged TestV3WatchRestoreSnapshotUnsync`},
	{"integration", onEtcd + "has no option for the interval that the test sets", `
		TestV3LeaseCheckpoint`},
	// A new leader starts all leases anew.
	{"integration", raft, `TestV3LeaseCheckpoint/Checkpointing_disabled,_lease_TTL_is_reset`},
	{"integration", inside, `
		TestPeriodicCheck TestPeriodicCheckDetectsCorruption TestCompactHashCheck
		TestCompactHashCheckDetectCorruption TestCompactHashCheckDetectMultipleCorruption
		TestAuthority TestV3StorageQuotaApply`},
	{"integration", bolt, `
		TestTracing TestEtcdVersionFromWAL TestV3CorruptAlarm TestV3CorruptAlarmWithLeaseCorrupted`},
	{"integration", peerPort, `TestCompactionHash`},
	{"integration", users, `
		TestV3AuthEmptyUserGet TestV3AuthEmptyUserPut TestV3AuthTokenWithDisable TestV3AuthRevision
		TestV3AuthWithLeaseRevokeWithRoot TestV3AuthWithLeaseRevokeWithRootJWT
		TestV3AuthWithLeaseRevoke TestV3AuthWithLeaseRenew TestV3AuthWithLeaseAttach
		TestV3AuthNonAuthorizedRPCs TestV3AuthNestedTxnPermissionDenied TestReadWithPrevKvInTXN
		TestPutWithLeaseInTXN TestV3AuthOldRevConcurrent TestV3AuthWatchErrorAndWatchId0
		TestElectionWithAuthEnabled`},
	{"integration", grpcServer, `TestV3AdditionalGRPCOptions`},

	{"common", membership, `TestMemberList TestMemberAdd TestMemberRemove`},
	// They ask each of three members for an id of its own.
	{"common", raft, `TestStatus/PeerTLS TestStatus/PeerAutoTLS`},
	{"common", raft, `TestKVGetNoQuorum TestWaitLeader TestWaitLeader_MemberStop`},
	{"common", users, `
		TestAuthEnable TestAuthDisable TestAuthGracefulDisable TestAuthRoleUpdate
		TestAuthUserDeleteDuringOps TestAuthRoleRevokeDuringOps TestAuthWriteKey TestAuthTxn
		TestAuthPrefixPerm TestAuthLeaseKeepAlive TestAuthRevokeWithDelete
		TestAuthLeaseTimeToLiveExpired TestAuthLeaseGrantLeases TestAuthMemberAdd TestAuthCompact
		TestAuthLeaseLeases TestAuthMemberList TestAuthMemberRemove TestAuthTestInvalidMgmt
		TestAuthLeaseRevoke TestAuthRoleGet TestAuthUserGet TestAuthRoleList TestAuthJWTExpire
		TestAuthRevisionConsistency TestAuthTestCacheReload TestAuthLeaseTimeToLive TestAuthAlarm
		TestAuthStatus TestDefragmentWithInvalidAuth TestDefragmentWithRootAuth
		TestDefragmentWithUserAuth TestDowngradeWithInvalidAuth TestDowngradeWithRootAuth
		TestDowngradeWithUserAuth TestHashKVWithInvalidAuth TestHashKVWithRootAuth
		TestHashKVWithUserAuth TestMoveLeaderWithInvalidAuth TestMoveLeaderWithRootAuth
		TestMoveLeaderWithUserAuth TestSnapshotWithInvalidAuth TestSnapshotWithRootAuth
		TestSnapshotWithUserAuth TestStatusWithInvalidAuth TestStatusWithRootAuth
		TestStatusWithUserAuth TestDefragmentWithNoAuth TestDowngradeWithNoAuth
		TestHashKVWithNoAuth TestMoveLeaderWithNoAuth TestSnapshotWithNoAuth TestStatusWithNoAuth
		TestRoleAdd_Simple TestRoleAdd_Error TestRootRole TestRoleGrantRevokePermission
		TestRoleDelete TestUserAdd_Simple TestUserAdd_DuplicateUserNotAllowed TestUserList
		TestUserDelete TestUserChangePassword`},
}
