package io.harikube.kubernetes;

import java.util.List;
import java.util.TreeSet;

/** What Kubernetes takes as the name and as the value of a label. All of it is ASCII. */
final class LabelSyntax {
  private static final int MAX_NAME = 63;
  private static final int MAX_PREFIX = 253;

  private LabelSyntax() {}

  /** A name, or a DNS subdomain, a slash and a name. */
  static boolean isKey(String key) {
    int slash = key.indexOf('/');
    if (slash < 0) {
      return isName(key);
    }
    return isSubdomain(key.substring(0, slash)) && isName(key.substring(slash + 1));
  }

  /** Nothing, or what a name may be. */
  static boolean isValue(String value) {
    return value.isEmpty() || isName(value);
  }

  private static boolean isName(String name) {
    int length = name.length();
    if (length == 0 || length > MAX_NAME) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      char c = name.charAt(i);
      boolean inside = i > 0 && i < length - 1;
      if (!isAlphanumeric(c) && !(inside && (c == '-' || c == '_' || c == '.'))) {
        return false;
      }
    }
    return true;
  }

  /** Labels of lower case letters, digits and inner dashes, separated by dots. */
  private static boolean isSubdomain(String text) {
    int length = text.length();
    if (length == 0 || length > MAX_PREFIX) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      boolean first = i == 0 || text.charAt(i - 1) == '.';
      boolean last = i == length - 1 || text.charAt(i + 1) == '.';
      boolean edge = first || last;
      if (!isLowerOrDigit(c) && !(c == '-' && !edge) && !(c == '.' && !first && i < length - 1)) {
        return false;
      }
    }
    return true;
  }

  private static boolean isLowerOrDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  }

  private static boolean isAlphanumeric(char c) {
    return isLowerOrDigit(c) || (c >= 'A' && c <= 'Z');
  }

  static List<String> sorted(List<String> values) {
    return values.size() == 1 ? List.copyOf(values) : List.copyOf(new TreeSet<>(values));
  }
}
