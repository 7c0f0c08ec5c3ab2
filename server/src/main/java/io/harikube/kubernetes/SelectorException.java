package io.harikube.kubernetes;

/** A text that Kubernetes does not take as a selector. Nothing can be filtered by it. */
public final class SelectorException extends Exception {
  private static final long serialVersionUID = 1;

  SelectorException(String problem, String selector) {
    super(problem + ": selector '" + selector + "'");
  }
}
