package io.harikube.cli;

/** Why a command cannot do its work: one sentence for the operator, without secrets. */
final class StartException extends Exception {
  private static final long serialVersionUID = 1;

  StartException(String sentence) {
    super(sentence);
  }

  StartException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
