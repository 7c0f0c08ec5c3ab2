package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.harikube.etcd.proto.AuthDisableResponse;
import io.harikube.etcd.proto.AuthRoleListResponse;
import io.harikube.etcd.proto.AuthStatusResponse;
import io.harikube.etcd.proto.AuthUserListResponse;

/**
 * etcd's Auth service, as of an etcd whose authentication is off and which has neither users nor
 * roles. There are none to be made: who may talk to the server is a matter of TLS.
 */
final class AuthService {
  private static final Status NO_USERS =
      Code.UNIMPLEMENTED
          .toStatus()
          .withDescription(
              "etcdserver: users and roles are not supported, use client certificates");

  private final Headers headers;

  AuthService(Headers headers) {
    this.headers = headers;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.Auth")
        .addMethod(EtcdApi.AUTH_ENABLE, refuse(calls, Errors.ROOT_USER_MISSING))
        .addMethod(
            EtcdApi.AUTH_DISABLE,
            calls.direct(_ -> AuthDisableResponse.newBuilder().setHeader(headers.now()).build()))
        .addMethod(
            EtcdApi.AUTH_STATUS,
            calls.direct(
                _ ->
                    AuthStatusResponse.newBuilder()
                        .setHeader(headers.now())
                        .setAuthRevision(1)
                        .build()))
        .addMethod(EtcdApi.AUTHENTICATE, refuse(calls, Errors.AUTH_NOT_ENABLED))
        .addMethod(EtcdApi.USER_ADD, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.USER_GET, refuse(calls, Errors.USER_NOT_FOUND))
        .addMethod(
            EtcdApi.USER_LIST,
            calls.direct(_ -> AuthUserListResponse.newBuilder().setHeader(headers.now()).build()))
        .addMethod(EtcdApi.USER_DELETE, refuse(calls, Errors.USER_NOT_FOUND))
        .addMethod(EtcdApi.USER_CHANGE_PASSWORD, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.USER_GRANT_ROLE, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.USER_REVOKE_ROLE, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.ROLE_ADD, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.ROLE_GET, refuse(calls, Errors.ROLE_NOT_FOUND))
        .addMethod(
            EtcdApi.ROLE_LIST,
            calls.direct(_ -> AuthRoleListResponse.newBuilder().setHeader(headers.now()).build()))
        .addMethod(EtcdApi.ROLE_DELETE, refuse(calls, Errors.ROLE_NOT_FOUND))
        .addMethod(EtcdApi.ROLE_GRANT_PERMISSION, refuse(calls, NO_USERS))
        .addMethod(EtcdApi.ROLE_REVOKE_PERMISSION, refuse(calls, NO_USERS))
        .build();
  }

  private static <Q, A> io.grpc.ServerCallHandler<Q, A> refuse(Calls calls, Status status) {
    return calls.async((_, answer) -> answer.fail(status));
  }
}
