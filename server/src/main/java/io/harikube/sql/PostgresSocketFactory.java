package io.harikube.sql;

import io.harikube.tls.PemFiles;
import io.harikube.tls.TlsException;
import java.net.Socket;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.util.Properties;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;
import org.postgresql.ssl.WrappedFactory;

/**
 * TLS to a PostgreSQL server with PEM files of every encoding. pgjdbc makes one for each connection
 * by its name, with the properties of the connection; verify-full's look at the host's name is
 * pgjdbc's own.
 */
public final class PostgresSocketFactory extends WrappedFactory {

  /** Called by pgjdbc. */
  public PostgresSocketFactory(Properties properties) throws TlsException {
    boolean verify = properties.getProperty("sslmode", "").startsWith("verify");
    factory = files(properties).context(verify ? null : new Anybody()).getSocketFactory();
  }

  /** The files that the properties name; {@code sslrootcert=system} are the JDK's authorities. */
  static PemFiles files(Properties properties) throws TlsException {
    boolean verify = properties.getProperty("sslmode", "").startsWith("verify");
    Path authority = file(properties, "sslrootcert");
    boolean named = verify && authority != null && !authority.equals(Path.of("system"));
    return PemFiles.read(
        file(properties, "sslcert"), file(properties, "sslkey"), named ? authority : null);
  }

  private static @Nullable Path file(Properties properties, String name) {
    String value = properties.getProperty(name);
    return value == null || value.isEmpty() ? null : Path.of(value);
  }

  /** sslmode=require protects against listeners, not against a false server: so says libpq, too. */
  private static final class Anybody extends X509ExtendedTrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
