package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.harikube.etcd.proto.Member;
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
import io.harikube.store.Store;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;

/**
 * etcd's Cluster service: of a cluster that has this server as its only member, and stays that way.
 * What etcd refuses of such a cluster is refused in its words; what it would do, with the words of
 * a cluster that is not in a state for it.
 */
final class ClusterService {
  private final Store store;
  private final Headers headers;
  private final String name;
  private final List<String> peerUrls;
  private final List<String> clientUrls;

  ClusterService(
      Store store, Headers headers, String name, List<String> peerUrls, List<String> clientUrls) {
    this.store = store;
    this.headers = headers;
    this.name = name;
    this.peerUrls = peerUrls;
    this.clientUrls = clientUrls;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.Cluster")
        .addMethod(EtcdApi.MEMBER_LIST, calls.direct(this::list))
        .addMethod(EtcdApi.MEMBER_ADD, calls.direct(this::add))
        .addMethod(EtcdApi.MEMBER_REMOVE, calls.direct(this::remove))
        .addMethod(EtcdApi.MEMBER_UPDATE, calls.direct(this::update))
        .addMethod(EtcdApi.MEMBER_PROMOTE, calls.direct(this::promote))
        .build();
  }

  private MemberListResponse list(MemberListRequest request) {
    // etcd leaves the revision out of the headers of this service.
    return MemberListResponse.newBuilder().setHeader(headers.at(0)).addMembers(member()).build();
  }

  private MemberAddResponse add(MemberAddRequest request) {
    if (request.getPeerURLsCount() == 0
        || !request.getPeerURLsList().stream().allMatch(ClusterService::isPeerUrl)) {
      throw RequestCheck.refuse(Errors.MEMBER_BAD_URLS);
    }
    throw RequestCheck.refuse(Errors.NOT_ENOUGH_STARTED);
  }

  private MemberRemoveResponse remove(MemberRemoveRequest request) {
    throw RequestCheck.refuse(
        isUs(request.getID()) ? Errors.NOT_ENOUGH_STARTED : Errors.MEMBER_NOT_FOUND);
  }

  private MemberUpdateResponse update(MemberUpdateRequest request) {
    if (!isUs(request.getID())) {
      throw RequestCheck.refuse(Errors.MEMBER_NOT_FOUND);
    }
    if (!request.getPeerURLsList().equals(peerUrls)) {
      throw RequestCheck.refuse(Errors.NOT_ENOUGH_STARTED);
    }
    return MemberUpdateResponse.newBuilder().setHeader(headers.at(0)).addMembers(member()).build();
  }

  private MemberPromoteResponse promote(MemberPromoteRequest request) {
    throw RequestCheck.refuse(
        isUs(request.getID()) ? Errors.MEMBER_NOT_LEARNER : Errors.MEMBER_NOT_FOUND);
  }

  private boolean isUs(long id) {
    return id == store.identity().memberId();
  }

  private Member member() {
    return Member.newBuilder()
        .setID(store.identity().memberId())
        .setName(name)
        .addAllPeerURLs(peerUrls)
        .addAllClientURLs(clientUrls)
        .build();
  }

  /** Source: etcd's types.NewURLs: scheme, host and port, and nothing more. */
  private static boolean isPeerUrl(String text) {
    try {
      URI uri = new URI(text.strip());
      String scheme = String.valueOf(uri.getScheme());
      return switch (scheme) {
        case "http", "https" ->
            uri.getHost() != null
                && uri.getPort() >= 0
                && String.valueOf(uri.getRawPath()).isEmpty();
        case "unix", "unixs" -> true;
        default -> false;
      };
    } catch (URISyntaxException e) {
      return false;
    }
  }
}
