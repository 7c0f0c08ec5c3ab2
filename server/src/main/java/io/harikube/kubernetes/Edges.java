package io.harikube.kubernetes;

import io.harikube.store.AttributeName;
import io.harikube.store.Filter;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What garbage collection looks up of objects, as attributes: which owners an object has, and
 * whether its dependents are to be dealt with before it goes.
 *
 * <p>An object that has neither has no such attribute.
 */
public final class Edges {
  /** The label of objects that kube-controller-manager does not see. */
  public static final String HIDING_LABEL = "skip-controller-manager-metadata-caching";

  private static final AttributeName HIDING = AttributeNames.label(HIDING_LABEL);

  /** Says of an object that is being deleted that its dependents are waited for. */
  public static final AttributeName ENDING = AttributeName.watched("ending");

  /** Its place is taken while edges of objects from before are being gathered. */
  public static final AttributeName GATHERED = AttributeName.added("edges");

  private static final String OWNER = "owner:";
  private static final String HIDDEN = "h";
  private static final String VISIBLE = "v";
  private static final String BLOCKING = "b";
  private static final int LONGEST_UID = 128;

  /** The values of {@link #owner} of objects that are hidden. */
  public static final List<String> OF_HIDDEN = List.of(HIDDEN, HIDDEN + BLOCKING);

  /** The values of {@link #owner} of objects that an owner waits for that is being deleted. */
  public static final List<String> OF_BLOCKING = List.of(HIDDEN + BLOCKING, VISIBLE + BLOCKING);

  /** All values of {@link #owner}. */
  public static final List<String> OF_ALL =
      List.of(HIDDEN, HIDDEN + BLOCKING, VISIBLE, VISIBLE + BLOCKING);

  /**
   * An owner whose dependents are to be dealt with before it goes.
   *
   * @param foreground whether they are to be deleted; if not, they are to be set free
   */
  public record Ending(boolean foreground, boolean hidden, String uid) {
    private String text() {
      return (foreground ? "f" : "o") + (hidden ? HIDDEN : VISIBLE) + uid;
    }

    /** What the value of {@link #ENDING} says. */
    public static Ending of(String value) {
      return new Ending(value.startsWith("f"), value.startsWith(HIDDEN, 1), value.substring(2));
    }
  }

  private Edges() {}

  /** The attribute of the objects that have this owner. */
  public static AttributeName owner(String uid) {
    return AttributeName.watched(OWNER + subject(uid));
  }

  /** The subject of an attribute that {@link #owner} made; null for another attribute. */
  public static @Nullable String ownerOf(AttributeName name) {
    String prefix = AttributeName.watched(OWNER).text();
    return name.text().startsWith(prefix) ? name.text().substring(prefix.length()) : null;
  }

  /** Stands for a uid, which may be any text, in names of attributes and subjects of tasks. */
  public static String subject(String uid) {
    // Tasks that are about no owner have the empty subject.
    if (!uid.isEmpty() && uid.length() <= LONGEST_UID) {
      return uid;
    }
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(uid.getBytes(StandardCharsets.UTF_8));
      return "#" + HexFormat.of().formatHex(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /**
   * Whether kube-controller-manager does not see such objects. It has informers of its own for the
   * kinds that are built in, which the label does not filter.
   */
  public static boolean isHidden(Resource resource, Map<String, String> labels) {
    return labels.containsKey(HIDING_LABEL) && isCustom(resource);
  }

  /** The same of an object with these attributes. */
  public static boolean isHiddenBy(Resource resource, Map<AttributeName, String> attributes) {
    return attributes.containsKey(HIDING) && isCustom(resource);
  }

  /** Whether it is a custom resource, or one of an aggregated API server. */
  public static boolean isCustom(Resource resource) {
    return !resource.group().isEmpty() && !BuiltInKinds.WITH_A_GROUP.contains(resource);
  }

  /** What objects meet that have the hiding label. */
  public static Filter.Requirement hidingRequirement() {
    return new Filter.Requirement(HIDING, Filter.Operator.PRESENT, List.of(), 0);
  }

  /** The attributes of an object that say that it waits for its dependents. */
  public static Map<AttributeName, String> ending(Resource resource, ObjectInfo info) {
    Map<AttributeName, String> attributes = new HashMap<>();
    addEnding(resource, info, attributes);
    return attributes;
  }

  /** Adds the attributes of an object. */
  static void add(Resource resource, ObjectInfo info, Map<AttributeName, String> to) {
    if (!info.ownerReferences().isEmpty()) {
      boolean hidden = isHidden(resource, info.labels());
      for (OwnerReference owner : info.ownerReferences()) {
        String value = (hidden ? HIDDEN : VISIBLE) + (owner.blockOwnerDeletion() ? BLOCKING : "");
        to.merge(owner(owner.uid()), value, (a, b) -> a.length() > b.length() ? a : b);
      }
    }
    addEnding(resource, info, to);
  }

  private static void addEnding(Resource resource, ObjectInfo info, Map<AttributeName, String> to) {
    if (info.deleting() && !info.finalizers().isEmpty()) {
      boolean foreground = info.finalizers().contains(Finalizers.FOREGROUND);
      if (foreground || info.finalizers().contains(Finalizers.ORPHAN)) {
        to.put(
            ENDING,
            new Ending(foreground, isHidden(resource, info.labels()), subject(info.uid())).text());
      }
    }
  }

  /** The finalizers of garbage collection. */
  public static final class Finalizers {
    public static final String FOREGROUND = "foregroundDeletion";
    public static final String ORPHAN = "orphan";

    private Finalizers() {}
  }
}
