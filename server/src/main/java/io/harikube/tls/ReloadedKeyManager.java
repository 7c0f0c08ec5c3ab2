package io.harikube.tls;

import java.net.Socket;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;
import org.jspecify.annotations.Nullable;

/**
 * Presents the identity that its files hold at the time of the handshake. A handshake asks for an
 * alias first and for key and chain of it later; the alias carries the number of the identity, and
 * the one before the newest is kept, so that a handshake never mixes two.
 */
final class ReloadedKeyManager extends X509ExtendedKeyManager {
  private record Numbered(String alias, Identity identity) {}

  private final Reloaded<Identity> source;
  private final AtomicLong number = new AtomicLong();
  private volatile Numbered[] known = {};

  ReloadedKeyManager(Reloaded<Identity> source) {
    this.source = source;
  }

  /** The certificate that is presented now, with those that lead to an authority. */
  List<X509Certificate> chain() {
    return source.get().chain();
  }

  private Numbered current() {
    Identity identity = source.get();
    Numbered[] now = known;
    if (now.length > 0 && now[0].identity.equals(identity)) {
      return now[0];
    }
    synchronized (this) {
      now = known;
      if (now.length > 0 && now[0].identity.equals(identity)) {
        return now[0];
      }
      Numbered newest = new Numbered("identity-" + number.incrementAndGet(), identity);
      known = now.length == 0 ? new Numbered[] {newest} : new Numbered[] {newest, now[0]};
      return newest;
    }
  }

  private @Nullable String aliasFor(String @Nullable ... keyTypes) {
    Numbered current = current();
    String algorithm = current.identity.key().getAlgorithm();
    boolean fits =
        keyTypes != null
            && Arrays.stream(keyTypes)
                .anyMatch(type -> type.equals(algorithm) || type.startsWith(algorithm + "_"));
    return fits ? current.alias : null;
  }

  private @Nullable Identity named(String alias) {
    for (Numbered one : known) {
      if (one.alias.equals(alias)) {
        return one.identity;
      }
    }
    return null;
  }

  @Override
  public @Nullable String chooseEngineServerAlias(
      String keyType, Principal @Nullable [] issuers, SSLEngine engine) {
    return aliasFor(keyType);
  }

  @Override
  public @Nullable String chooseServerAlias(
      String keyType, Principal @Nullable [] issuers, Socket socket) {
    return aliasFor(keyType);
  }

  @Override
  public @Nullable String chooseEngineClientAlias(
      String[] keyTypes, Principal @Nullable [] issuers, SSLEngine engine) {
    return aliasFor(keyTypes);
  }

  @Override
  public @Nullable String chooseClientAlias(
      String[] keyTypes, Principal @Nullable [] issuers, Socket socket) {
    return aliasFor(keyTypes);
  }

  @Override
  public String @Nullable [] getServerAliases(String keyType, Principal @Nullable [] issuers) {
    String alias = aliasFor(keyType);
    return alias == null ? null : new String[] {alias};
  }

  @Override
  public String @Nullable [] getClientAliases(String keyType, Principal @Nullable [] issuers) {
    return getServerAliases(keyType, issuers);
  }

  @Override
  public X509Certificate @Nullable [] getCertificateChain(String alias) {
    Identity identity = named(alias);
    return identity == null ? null : identity.chain().toArray(new X509Certificate[0]);
  }

  @Override
  public @Nullable PrivateKey getPrivateKey(String alias) {
    Identity identity = named(alias);
    return identity == null ? null : identity.key();
  }
}
