import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.UUID;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * An agency's system at its gxbus node, with the JDK (17 or newer) alone.
 *
 * <pre>
 * export NODE=https://10.0.1.1:8440 CA=ca.crt TOKEN=gxs_…
 * java Agency.java publish    # the provider's system publishes an event
 * java Agency.java pull       # the consumer's system subscribes, and pulls until it is stopped
 * java Agency.java query      # the consumer's system asks for data
 *
 * export SECRET=… ENDPOINT=http://10.0.2.7:8480/events    # where the node reaches this machine
 * java Agency.java webhook    # events are brought instead
 * </pre>
 *
 * <p>JSON goes in and out as text here; take the library that your system uses anyway.
 */
public class Agency {
  static final String RESOURCE = "enterprise-registration";
  static final String SUBSCRIPTION = "tianhe-registration";
  static final String GRANT = "tianhe-registration";

  final String node = System.getenv("NODE");
  final String token = System.getenv("TOKEN");
  final HttpClient http = HttpClient.newBuilder().sslContext(trusting(System.getenv("CA"))).build();

  Agency() throws IOException, GeneralSecurityException {}

  public static void main(String[] args) throws Exception {
    var agency = new Agency();
    switch (args.length == 1 ? args[0] : "") {
      case "publish" -> agency.publish();
      case "pull" -> agency.pull();
      case "query" -> agency.query();
      case "webhook" -> agency.webhook();
      default -> fail("usage: java Agency.java publish|pull|query|webhook");
    }
  }

  void publish() throws Exception {
    var id = "registration-" + UUID.randomUUID(); // keep it: published again, the event is taken once
    var event = """
        {"specversion": "1.0", "id": "%s", "source": "/systems/market-registry",
         "type": "cn.gov.sample.enterprise.registered.v1", "subject": "样例企业", "time": "%s",
         "data": {"enterprise_name": "样例企业有限公司", "phone": "19900000001"}}
        """.formatted(id, Instant.now());
    var answer = call("POST", "resources/" + RESOURCE + "/events", event, "Content-Type", "application/cloudevents+json");
    System.out.println(answer.body());
  }

  void subscribe() throws Exception {
    var wanted = """
        {"resource": "%s", "grant": "%s", "purpose": "verification"}
        """.formatted(RESOURCE, GRANT);
    try {
      call("PUT", "subscriptions/" + SUBSCRIPTION, wanted, "If-None-Match", "*");
    } catch (Problem problem) {
      if (!problem.getMessage().contains("\"already-exists\"")) {
        throw problem;
      }
    }
  }

  void pull() throws Exception {
    subscribe();
    while (true) {
      var answer = call("GET", "subscriptions/" + SUBSCRIPTION + "/events?limit=100&wait=30", null);
      var last = answer.headers().firstValue("Gxbus-Last");
      if (last.isPresent()) { // else nothing waits
        process(answer.body());
        call("POST", "subscriptions/" + SUBSCRIPTION + "/ack", "{\"last\": " + last.get() + "}"); // only now: what is not acknowledged comes again
      }
    }
  }

  /**
   * Here events, a JSON array of them or one, go into your database, in one transaction with
   * their (source, id): one that you have already is passed over.
   */
  static void process(String events) {
    System.out.println(events);
  }

  void query() throws Exception {
    var asked = """
        {"grant": "%s", "purpose": "verification", "matter": "440106001000", "case": "2026-000123",
         "parameters": {"uscc": "91440300MA5SAMPLE1"}}
        """.formatted(GRANT);
    System.out.println(call("POST", "resources/" + RESOURCE + "/query", asked).body());
  }

  void webhook() throws Exception {
    subscribe();
    var endpoint = URI.create(System.getenv("ENDPOINT"));
    var server = HttpServer.create(new InetSocketAddress(endpoint.getPort()), 0);
    server.createContext("/", Agency::receive);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.start(); // first: the node asks it at once
    var sink = """
        {"url": "%s", "secret": "%s"}
        """.formatted(endpoint, System.getenv("SECRET"));
    var state = call("PUT", "subscriptions/" + SUBSCRIPTION + "/sink", sink).body();
    if (!state.contains("\"active\":true")) {
      fail("the node does not deliver: " + state);
    }
  }

  static void receive(HttpExchange request) throws IOException {
    try (request) {
      if (request.getRequestMethod().equals("OPTIONS")) { // may the node deliver? (HTTP 1.1 Web Hooks for Event Delivery)
        request.getResponseHeaders().set("WebHook-Allowed-Origin", request.getRequestHeaders().getFirst("WebHook-Request-Origin"));
        request.sendResponseHeaders(200, -1);
        return;
      }
      var body = request.getRequestBody().readAllBytes();
      if (!signed(request, body)) {
        request.sendResponseHeaders(401, -1);
        return;
      }
      process(new String(body, StandardCharsets.UTF_8));
      request.sendResponseHeaders(200, -1); // only now: what is not answered so comes again
    }
  }

  /** Whether the node sent this, within five minutes (Standard Webhooks). */
  static boolean signed(HttpExchange request, byte[] body) {
    var id = request.getRequestHeaders().getFirst("webhook-id");
    var at = request.getRequestHeaders().getFirst("webhook-timestamp");
    var given = request.getRequestHeaders().getFirst("webhook-signature");
    if (id == null || at == null || given == null) {
      return false;
    }
    try {
      var mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(System.getenv("SECRET").getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      mac.update((id + "." + at + ".").getBytes(StandardCharsets.UTF_8));
      var expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
      var age = Math.abs(Instant.now().getEpochSecond() - Long.parseLong(at));
      for (var one : given.split(" ")) {
        if (MessageDigest.isEqual(one.getBytes(StandardCharsets.UTF_8), expected) && age < 300) {
          return true;
        }
      }
      return false;
    } catch (GeneralSecurityException | NumberFormatException wrong) {
      return false;
    }
  }

  /**
   * Asks the node, and asks again where it was not reached or is busy. All that is asked here may
   * be asked twice: events by their id, writes by their Idempotency-Key.
   */
  HttpResponse<String> call(String method, String path, String body, String... headers) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(node + "/api/v1/" + path)).timeout(Duration.ofSeconds(60))
        .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
        .setHeader("Authorization", "Bearer " + token)
        .setHeader("Idempotency-Key", UUID.randomUUID().toString())
        .setHeader("Content-Type", "application/json");
    for (int i = 0; i < headers.length; i += 2) {
      request.setHeader(headers[i], headers[i + 1]);
    }
    for (int attempt = 0; ; attempt++) {
      long pause = 1 << attempt;
      try {
        var answer = http.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() < 400) {
          return answer;
        }
        if (attempt == 4 || answer.statusCode() != 429 && answer.statusCode() != 503) {
          throw new Problem(answer.statusCode() + " " + answer.body());
        }
        pause = answer.headers().firstValueAsLong("Retry-After").orElse(pause);
      } catch (IOException unreached) {
        if (attempt == 4) {
          throw unreached;
        }
      }
      Thread.sleep(Duration.ofSeconds(pause).toMillis());
    }
  }

  /** What the node answered in place of what was asked for (RFC 9457). */
  static class Problem extends Exception {
    Problem(String message) {
      super(message);
    }
  }

  /** Trusts who has a certificate of the bus, and nobody else. */
  static SSLContext trusting(String ca) throws IOException, GeneralSecurityException {
    var known = KeyStore.getInstance(KeyStore.getDefaultType());
    known.load(null, null);
    try (var file = new FileInputStream(ca)) {
      int number = 0;
      for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(file)) {
        known.setCertificateEntry("ca-" + number++, certificate);
      }
    }
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(known);
    var context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  static void fail(String why) {
    System.err.println(why);
    System.exit(1);
  }
}
