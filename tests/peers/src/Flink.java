import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;

/**
 * Flink SQL in this process: carries out the statements of a file, each after a line `--`, one after the other. A row of a
 * query is a line: the statement's number, counted from 0, a tab, and the row as JSON; times are milliseconds. At the end of each
 * statement there is a line with its number, a tab and the seconds that it took.
 */
public final class Flink {
    public static void main(String[] args) throws Exception {
        var settings = new Configuration();
        settings.setString("table.local-time-zone", "UTC");
        settings.setString("parallelism.default", "1");
        settings.setString("restart-strategy.type", "disable");
        for (int i = 1; i < args.length; i++) {
            String[] setting = args[i].split("=", 2);
            settings.setString(setting[0], setting[1]);
        }
        TableEnvironment tables = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
        String[] statements = Files.readString(Path.of(args[0])).split("\n--\n");
        for (int at = 0; at < statements.length; at++) {
            long begun = System.nanoTime();
            TableResult result = tables.executeSql(statements[at]);
            if (statements[at].startsWith("SELECT")) {
                print(at, result);
            } else if (statements[at].startsWith("INSERT")) {
                result.await();
            }
            System.out.println(at + "\t" + (System.nanoTime() - begun) / 1e9);
        }
        // What the mini-cluster leaves running.
        System.out.flush();
        System.exit(0);
    }

    private static void print(int at, TableResult result) throws Exception {
        var json = new ObjectMapper();
        var out = new StringBuilder();
        try (var rows = result.collect()) {
            while (rows.hasNext()) {
                out.append(at).append('\t').append(json.writeValueAsString(values(rows.next()))).append('\n');
            }
        }
        System.out.print(out);
    }

    private static List<Object> values(Row row) {
        var values = new ArrayList<Object>();
        for (int i = 0; i < row.getArity(); i++) {
            Object value = row.getField(i);
            values.add(value instanceof LocalDateTime time ? time.toInstant(ZoneOffset.UTC).toEpochMilli() : value);
        }
        return values;
    }
}
