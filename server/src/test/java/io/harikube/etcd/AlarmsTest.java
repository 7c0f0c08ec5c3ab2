package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.etcd.proto.AlarmMember;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmRequest.AlarmAction;
import io.harikube.etcd.proto.AlarmType;
import java.util.List;
import org.junit.jupiter.api.Test;

final class AlarmsTest {
  private final Alarms alarms = new Alarms();

  @Test
  void noSpaceForbidsPuts() {
    List<AlarmMember> set = handle(AlarmAction.ACTIVATE, AlarmType.NOSPACE);
    assertThat(set).hasSize(1);
    assertThat(handle(AlarmAction.ACTIVATE, AlarmType.NOSPACE)).isEqualTo(set);
    assertThat(handle(AlarmAction.GET, AlarmType.NONE)).isEqualTo(set);
    assertThat(handle(AlarmAction.GET, AlarmType.CORRUPT)).isEmpty();
    assertThatThrownBy(alarms::refusePut)
        .hasMessage("RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded");
    assertThatCode(alarms::refuseChange).doesNotThrowAnyException();

    assertThat(handle(AlarmAction.DEACTIVATE, AlarmType.NOSPACE)).isEqualTo(set);
    assertThat(handle(AlarmAction.DEACTIVATE, AlarmType.NOSPACE)).isEmpty();
    assertThatCode(alarms::refusePut).doesNotThrowAnyException();
  }

  @Test
  void corruptionForbidsEveryChange() {
    handle(AlarmAction.ACTIVATE, AlarmType.CORRUPT);
    assertThatThrownBy(alarms::refuseChange).hasMessage("DATA_LOSS: etcdserver: corrupt cluster");
    assertThatThrownBy(alarms::refusePut).hasMessage("DATA_LOSS: etcdserver: corrupt cluster");
  }

  @Test
  void noAlarmIsNotSet() {
    assertThat(handle(AlarmAction.ACTIVATE, AlarmType.NONE)).isEmpty();
    assertThat(handle(AlarmAction.GET, AlarmType.NONE)).isEmpty();
  }

  private List<AlarmMember> handle(AlarmAction action, AlarmType type) {
    return alarms.handle(
        AlarmRequest.newBuilder().setAction(action).setMemberID(3).setAlarm(type).build());
  }
}
