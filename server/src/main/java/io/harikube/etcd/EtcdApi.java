package io.harikube.etcd;

import com.google.protobuf.Internal;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmResponse;
import io.harikube.etcd.proto.AuthDisableRequest;
import io.harikube.etcd.proto.AuthDisableResponse;
import io.harikube.etcd.proto.AuthEnableRequest;
import io.harikube.etcd.proto.AuthEnableResponse;
import io.harikube.etcd.proto.AuthRoleAddRequest;
import io.harikube.etcd.proto.AuthRoleAddResponse;
import io.harikube.etcd.proto.AuthRoleDeleteRequest;
import io.harikube.etcd.proto.AuthRoleDeleteResponse;
import io.harikube.etcd.proto.AuthRoleGetRequest;
import io.harikube.etcd.proto.AuthRoleGetResponse;
import io.harikube.etcd.proto.AuthRoleGrantPermissionRequest;
import io.harikube.etcd.proto.AuthRoleGrantPermissionResponse;
import io.harikube.etcd.proto.AuthRoleListRequest;
import io.harikube.etcd.proto.AuthRoleListResponse;
import io.harikube.etcd.proto.AuthRoleRevokePermissionRequest;
import io.harikube.etcd.proto.AuthRoleRevokePermissionResponse;
import io.harikube.etcd.proto.AuthStatusRequest;
import io.harikube.etcd.proto.AuthStatusResponse;
import io.harikube.etcd.proto.AuthUserAddRequest;
import io.harikube.etcd.proto.AuthUserAddResponse;
import io.harikube.etcd.proto.AuthUserChangePasswordRequest;
import io.harikube.etcd.proto.AuthUserChangePasswordResponse;
import io.harikube.etcd.proto.AuthUserDeleteRequest;
import io.harikube.etcd.proto.AuthUserDeleteResponse;
import io.harikube.etcd.proto.AuthUserGetRequest;
import io.harikube.etcd.proto.AuthUserGetResponse;
import io.harikube.etcd.proto.AuthUserGrantRoleRequest;
import io.harikube.etcd.proto.AuthUserGrantRoleResponse;
import io.harikube.etcd.proto.AuthUserListRequest;
import io.harikube.etcd.proto.AuthUserListResponse;
import io.harikube.etcd.proto.AuthUserRevokeRoleRequest;
import io.harikube.etcd.proto.AuthUserRevokeRoleResponse;
import io.harikube.etcd.proto.AuthenticateRequest;
import io.harikube.etcd.proto.AuthenticateResponse;
import io.harikube.etcd.proto.CampaignRequest;
import io.harikube.etcd.proto.CampaignResponse;
import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.CompactionResponse;
import io.harikube.etcd.proto.DefragmentRequest;
import io.harikube.etcd.proto.DefragmentResponse;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DeleteRangeResponse;
import io.harikube.etcd.proto.DowngradeRequest;
import io.harikube.etcd.proto.DowngradeResponse;
import io.harikube.etcd.proto.HashKVRequest;
import io.harikube.etcd.proto.HashKVResponse;
import io.harikube.etcd.proto.HashRequest;
import io.harikube.etcd.proto.HashResponse;
import io.harikube.etcd.proto.LeaderRequest;
import io.harikube.etcd.proto.LeaderResponse;
import io.harikube.etcd.proto.LeaseGrantRequest;
import io.harikube.etcd.proto.LeaseGrantResponse;
import io.harikube.etcd.proto.LeaseKeepAliveRequest;
import io.harikube.etcd.proto.LeaseKeepAliveResponse;
import io.harikube.etcd.proto.LeaseLeasesRequest;
import io.harikube.etcd.proto.LeaseLeasesResponse;
import io.harikube.etcd.proto.LeaseRevokeRequest;
import io.harikube.etcd.proto.LeaseRevokeResponse;
import io.harikube.etcd.proto.LeaseTimeToLiveRequest;
import io.harikube.etcd.proto.LeaseTimeToLiveResponse;
import io.harikube.etcd.proto.LockRequest;
import io.harikube.etcd.proto.LockResponse;
import io.harikube.etcd.proto.MemberAddRequest;
import io.harikube.etcd.proto.MemberAddResponse;
import io.harikube.etcd.proto.MemberListRequest;
import io.harikube.etcd.proto.MemberListResponse;
import io.harikube.etcd.proto.MemberPromoteRequest;
import io.harikube.etcd.proto.MemberPromoteResponse;
import io.harikube.etcd.proto.MemberRemoveRequest;
import io.harikube.etcd.proto.MemberRemoveResponse;
import io.harikube.etcd.proto.MemberUpdateRequest;
import io.harikube.etcd.proto.MemberUpdateResponse;
import io.harikube.etcd.proto.MoveLeaderRequest;
import io.harikube.etcd.proto.MoveLeaderResponse;
import io.harikube.etcd.proto.ProclaimRequest;
import io.harikube.etcd.proto.ProclaimResponse;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RangeStreamResponse;
import io.harikube.etcd.proto.ResignRequest;
import io.harikube.etcd.proto.ResignResponse;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.SnapshotResponse;
import io.harikube.etcd.proto.StatusRequest;
import io.harikube.etcd.proto.StatusResponse;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.etcd.proto.UnlockRequest;
import io.harikube.etcd.proto.UnlockResponse;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import java.io.InputStream;

/** The methods of the etcd v3 API, for the server and for clients in tests. */
public final class EtcdApi {
  // Each level of a nested transaction is two messages; more levels than operations are refused
  // anyway.
  private static final int RECURSION_LIMIT = 400;

  private static final String KV = "etcdserverpb.KV";
  public static final MethodDescriptor<RangeRequest, RangeResponse> RANGE =
      unary(KV, "Range", RangeRequest.class, RangeResponse.class);
  public static final MethodDescriptor<RangeRequest, RangeStreamResponse> RANGE_STREAM =
      parts(KV, "RangeStream", RangeRequest.class, RangeStreamResponse.class);
  public static final MethodDescriptor<PutRequest, PutResponse> PUT =
      unary(KV, "Put", PutRequest.class, PutResponse.class);
  public static final MethodDescriptor<DeleteRangeRequest, DeleteRangeResponse> DELETE_RANGE =
      unary(KV, "DeleteRange", DeleteRangeRequest.class, DeleteRangeResponse.class);
  public static final MethodDescriptor<TxnRequest, TxnResponse> TXN =
      unary(KV, "Txn", TxnRequest.class, TxnResponse.class);
  public static final MethodDescriptor<CompactionRequest, CompactionResponse> COMPACT =
      unary(KV, "Compact", CompactionRequest.class, CompactionResponse.class);
  private static final String WATCH = "etcdserverpb.Watch";
  public static final MethodDescriptor<WatchRequest, WatchResponse> WATCH_STREAM =
      stream(WATCH, "Watch", WatchRequest.class, WatchResponse.class);
  private static final String LEASE = "etcdserverpb.Lease";
  public static final MethodDescriptor<LeaseGrantRequest, LeaseGrantResponse> LEASE_GRANT =
      unary(LEASE, "LeaseGrant", LeaseGrantRequest.class, LeaseGrantResponse.class);
  public static final MethodDescriptor<LeaseRevokeRequest, LeaseRevokeResponse> LEASE_REVOKE =
      unary(LEASE, "LeaseRevoke", LeaseRevokeRequest.class, LeaseRevokeResponse.class);
  public static final MethodDescriptor<LeaseKeepAliveRequest, LeaseKeepAliveResponse>
      LEASE_KEEP_ALIVE =
          stream(
              LEASE, "LeaseKeepAlive", LeaseKeepAliveRequest.class, LeaseKeepAliveResponse.class);
  public static final MethodDescriptor<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>
      LEASE_TIME_TO_LIVE =
          unary(
              LEASE,
              "LeaseTimeToLive",
              LeaseTimeToLiveRequest.class,
              LeaseTimeToLiveResponse.class);
  public static final MethodDescriptor<LeaseLeasesRequest, LeaseLeasesResponse> LEASE_LEASES =
      unary(LEASE, "LeaseLeases", LeaseLeasesRequest.class, LeaseLeasesResponse.class);
  private static final String CLUSTER = "etcdserverpb.Cluster";
  public static final MethodDescriptor<MemberAddRequest, MemberAddResponse> MEMBER_ADD =
      unary(CLUSTER, "MemberAdd", MemberAddRequest.class, MemberAddResponse.class);
  public static final MethodDescriptor<MemberRemoveRequest, MemberRemoveResponse> MEMBER_REMOVE =
      unary(CLUSTER, "MemberRemove", MemberRemoveRequest.class, MemberRemoveResponse.class);
  public static final MethodDescriptor<MemberUpdateRequest, MemberUpdateResponse> MEMBER_UPDATE =
      unary(CLUSTER, "MemberUpdate", MemberUpdateRequest.class, MemberUpdateResponse.class);
  public static final MethodDescriptor<MemberListRequest, MemberListResponse> MEMBER_LIST =
      unary(CLUSTER, "MemberList", MemberListRequest.class, MemberListResponse.class);
  public static final MethodDescriptor<MemberPromoteRequest, MemberPromoteResponse> MEMBER_PROMOTE =
      unary(CLUSTER, "MemberPromote", MemberPromoteRequest.class, MemberPromoteResponse.class);
  private static final String MAINTENANCE = "etcdserverpb.Maintenance";
  public static final MethodDescriptor<AlarmRequest, AlarmResponse> ALARM =
      unary(MAINTENANCE, "Alarm", AlarmRequest.class, AlarmResponse.class);
  public static final MethodDescriptor<StatusRequest, StatusResponse> STATUS =
      unary(MAINTENANCE, "Status", StatusRequest.class, StatusResponse.class);
  public static final MethodDescriptor<DefragmentRequest, DefragmentResponse> DEFRAGMENT =
      unary(MAINTENANCE, "Defragment", DefragmentRequest.class, DefragmentResponse.class);
  public static final MethodDescriptor<HashRequest, HashResponse> HASH =
      unary(MAINTENANCE, "Hash", HashRequest.class, HashResponse.class);
  public static final MethodDescriptor<HashKVRequest, HashKVResponse> HASH_KV =
      unary(MAINTENANCE, "HashKV", HashKVRequest.class, HashKVResponse.class);
  public static final MethodDescriptor<SnapshotRequest, SnapshotResponse> SNAPSHOT =
      parts(MAINTENANCE, "Snapshot", SnapshotRequest.class, SnapshotResponse.class);
  public static final MethodDescriptor<MoveLeaderRequest, MoveLeaderResponse> MOVE_LEADER =
      unary(MAINTENANCE, "MoveLeader", MoveLeaderRequest.class, MoveLeaderResponse.class);
  public static final MethodDescriptor<DowngradeRequest, DowngradeResponse> DOWNGRADE =
      unary(MAINTENANCE, "Downgrade", DowngradeRequest.class, DowngradeResponse.class);
  private static final String AUTH = "etcdserverpb.Auth";
  public static final MethodDescriptor<AuthEnableRequest, AuthEnableResponse> AUTH_ENABLE =
      unary(AUTH, "AuthEnable", AuthEnableRequest.class, AuthEnableResponse.class);
  public static final MethodDescriptor<AuthDisableRequest, AuthDisableResponse> AUTH_DISABLE =
      unary(AUTH, "AuthDisable", AuthDisableRequest.class, AuthDisableResponse.class);
  public static final MethodDescriptor<AuthStatusRequest, AuthStatusResponse> AUTH_STATUS =
      unary(AUTH, "AuthStatus", AuthStatusRequest.class, AuthStatusResponse.class);
  public static final MethodDescriptor<AuthenticateRequest, AuthenticateResponse> AUTHENTICATE =
      unary(AUTH, "Authenticate", AuthenticateRequest.class, AuthenticateResponse.class);
  public static final MethodDescriptor<AuthUserAddRequest, AuthUserAddResponse> USER_ADD =
      unary(AUTH, "UserAdd", AuthUserAddRequest.class, AuthUserAddResponse.class);
  public static final MethodDescriptor<AuthUserGetRequest, AuthUserGetResponse> USER_GET =
      unary(AUTH, "UserGet", AuthUserGetRequest.class, AuthUserGetResponse.class);
  public static final MethodDescriptor<AuthUserListRequest, AuthUserListResponse> USER_LIST =
      unary(AUTH, "UserList", AuthUserListRequest.class, AuthUserListResponse.class);
  public static final MethodDescriptor<AuthUserDeleteRequest, AuthUserDeleteResponse> USER_DELETE =
      unary(AUTH, "UserDelete", AuthUserDeleteRequest.class, AuthUserDeleteResponse.class);
  public static final MethodDescriptor<
          AuthUserChangePasswordRequest, AuthUserChangePasswordResponse>
      USER_CHANGE_PASSWORD =
          unary(
              AUTH,
              "UserChangePassword",
              AuthUserChangePasswordRequest.class,
              AuthUserChangePasswordResponse.class);
  public static final MethodDescriptor<AuthUserGrantRoleRequest, AuthUserGrantRoleResponse>
      USER_GRANT_ROLE =
          unary(
              AUTH,
              "UserGrantRole",
              AuthUserGrantRoleRequest.class,
              AuthUserGrantRoleResponse.class);
  public static final MethodDescriptor<AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse>
      USER_REVOKE_ROLE =
          unary(
              AUTH,
              "UserRevokeRole",
              AuthUserRevokeRoleRequest.class,
              AuthUserRevokeRoleResponse.class);
  public static final MethodDescriptor<AuthRoleAddRequest, AuthRoleAddResponse> ROLE_ADD =
      unary(AUTH, "RoleAdd", AuthRoleAddRequest.class, AuthRoleAddResponse.class);
  public static final MethodDescriptor<AuthRoleGetRequest, AuthRoleGetResponse> ROLE_GET =
      unary(AUTH, "RoleGet", AuthRoleGetRequest.class, AuthRoleGetResponse.class);
  public static final MethodDescriptor<AuthRoleListRequest, AuthRoleListResponse> ROLE_LIST =
      unary(AUTH, "RoleList", AuthRoleListRequest.class, AuthRoleListResponse.class);
  public static final MethodDescriptor<AuthRoleDeleteRequest, AuthRoleDeleteResponse> ROLE_DELETE =
      unary(AUTH, "RoleDelete", AuthRoleDeleteRequest.class, AuthRoleDeleteResponse.class);
  public static final MethodDescriptor<
          AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse>
      ROLE_GRANT_PERMISSION =
          unary(
              AUTH,
              "RoleGrantPermission",
              AuthRoleGrantPermissionRequest.class,
              AuthRoleGrantPermissionResponse.class);
  public static final MethodDescriptor<
          AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse>
      ROLE_REVOKE_PERMISSION =
          unary(
              AUTH,
              "RoleRevokePermission",
              AuthRoleRevokePermissionRequest.class,
              AuthRoleRevokePermissionResponse.class);
  private static final String LOCKS = "v3lockpb.Lock";
  public static final MethodDescriptor<LockRequest, LockResponse> LOCK =
      unary(LOCKS, "Lock", LockRequest.class, LockResponse.class);
  public static final MethodDescriptor<UnlockRequest, UnlockResponse> UNLOCK =
      unary(LOCKS, "Unlock", UnlockRequest.class, UnlockResponse.class);
  private static final String ELECTIONS = "v3electionpb.Election";
  public static final MethodDescriptor<CampaignRequest, CampaignResponse> CAMPAIGN =
      unary(ELECTIONS, "Campaign", CampaignRequest.class, CampaignResponse.class);
  public static final MethodDescriptor<ProclaimRequest, ProclaimResponse> PROCLAIM =
      unary(ELECTIONS, "Proclaim", ProclaimRequest.class, ProclaimResponse.class);
  public static final MethodDescriptor<LeaderRequest, LeaderResponse> LEADER =
      unary(ELECTIONS, "Leader", LeaderRequest.class, LeaderResponse.class);
  public static final MethodDescriptor<LeaderRequest, LeaderResponse> OBSERVE =
      parts(ELECTIONS, "Observe", LeaderRequest.class, LeaderResponse.class);
  public static final MethodDescriptor<ResignRequest, ResignResponse> RESIGN =
      unary(ELECTIONS, "Resign", ResignRequest.class, ResignResponse.class);

  private EtcdApi() {}

  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> unary(
      String service, String name, Class<Q> request, Class<A> answer) {
    return method(service, name, MethodType.UNARY, request, answer);
  }

  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> parts(
      String service, String name, Class<Q> request, Class<A> answer) {
    return method(service, name, MethodType.SERVER_STREAMING, request, answer);
  }

  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> stream(
      String service, String name, Class<Q> request, Class<A> answer) {
    return method(service, name, MethodType.BIDI_STREAMING, request, answer);
  }

  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(
      String service, String name, MethodType type, Class<Q> request, Class<A> answer) {
    return MethodDescriptor.<Q, A>newBuilder()
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(service, name))
        .setRequestMarshaller(marshaller(request))
        .setResponseMarshaller(marshaller(answer))
        .build();
  }

  private static <M extends Message> Marshaller<M> marshaller(Class<M> type) {
    return new Lenient<>(
        ProtoUtils.marshallerWithRecursionLimit(
            Internal.getDefaultInstance(type), RECURSION_LIMIT));
  }

  /**
   * Reads what is no message as null, which a {@link Flow} refuses: what a marshaller throws,
   * grpc-java logs with its stack trace, whoever sent it and however often.
   */
  private record Lenient<M>(Marshaller<M> strict) implements Marshaller<M> {
    @Override
    public InputStream stream(M message) {
      return strict.stream(message);
    }

    @Override
    @SuppressWarnings("NullAway")
    public M parse(InputStream stream) {
      try {
        return strict.parse(stream);
      } catch (RuntimeException e) {
        return null;
      }
    }
  }
}
