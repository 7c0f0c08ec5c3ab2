package io.harikube.etcd;

import io.harikube.etcd.proto.AlarmMember;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmType;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The alarms that are set, and what they forbid. A client sets them, or the {@link Quota}; none
 * outlives the server. Source: etcd's apply_corrupt and capped appliers.
 */
final class Alarms {
  private final Set<AlarmMember> set = new LinkedHashSet<>();
  private volatile boolean noSpace;
  private volatile boolean corrupt;

  /** What an alarm request answers: the alarms it asked for, set or cleared. */
  synchronized List<AlarmMember> handle(AlarmRequest request) {
    var alarm =
        AlarmMember.newBuilder()
            .setMemberID(request.getMemberID())
            .setAlarmValue(request.getAlarmValue())
            .build();
    List<AlarmMember> answer =
        switch (request.getAction()) {
          case GET -> get(request.getAlarm());
          case ACTIVATE -> {
            if (request.getAlarm() == AlarmType.NONE) {
              yield List.of();
            }
            set.add(alarm);
            yield List.of(alarm);
          }
          case DEACTIVATE -> set.remove(alarm) ? List.of(alarm) : List.of();
          case UNRECOGNIZED -> List.of();
        };
    noSpace = !get(AlarmType.NOSPACE).isEmpty();
    corrupt = !get(AlarmType.CORRUPT).isEmpty();
    return answer;
  }

  /** Sets the alarm of a member whose database is full. */
  void raiseNoSpace(long memberId) {
    var _ =
        handle(
            AlarmRequest.newBuilder()
                .setAction(AlarmRequest.AlarmAction.ACTIVATE)
                .setMemberID(memberId)
                .setAlarm(AlarmType.NOSPACE)
                .build());
  }

  synchronized List<AlarmMember> get(AlarmType type) {
    List<AlarmMember> found = new ArrayList<>();
    for (AlarmMember alarm : set) {
      if (type == AlarmType.NONE || alarm.getAlarm() == type) {
        found.add(alarm);
      }
    }
    return found;
  }

  /** Refuses what changes the store. */
  void refuseChange() {
    if (corrupt) {
      throw RequestCheck.refuse(Errors.CORRUPT);
    }
  }

  /** Refuses what makes the store larger. */
  void refusePut() {
    refuseChange();
    if (noSpace) {
      throw RequestCheck.refuse(Errors.NO_SPACE);
    }
  }
}
