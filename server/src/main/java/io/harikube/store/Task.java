package io.harikube.store;

/**
 * Something that is to be done because of a change, written in the transaction of the change.
 *
 * @param id tasks of earlier changes have lower ones; one of a task that is done may be given again
 * @param kind what is to be done; only who does it knows what that means
 * @param subject what it is about, by which it is found again; may be empty
 * @param key the key that it is about; may be empty
 */
public record Task(long id, String kind, String subject, Bytes key) {

  /** One that is to be written. */
  public static Task of(String kind, String subject, Bytes key) {
    return new Task(0, kind, subject, key);
  }
}
