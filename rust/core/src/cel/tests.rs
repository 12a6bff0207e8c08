//! What expressions come to, by the examples of Kubernetes' documentation.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::schema::Compiled;
use crate::wire::apply::tree::Node;

const SCHEMA: &str = r#"{"type":"object","properties":{
    "replicas":{"type":"integer"},"min":{"type":"integer"},"max":{"type":"integer"},"ratio":{"type":"number"},
    "name":{"type":"string","maxLength":20},"when":{"type":"string","format":"date-time"},
    "span":{"type":"string","format":"duration"},"any":{"x-kubernetes-int-or-string":true},
    "a-b":{"type":"string"},"opt":{"type":"string"},
    "names":{"type":"array","maxItems":10,"items":{"type":"string","maxLength":10}},
    "set":{"type":"array","x-kubernetes-list-type":"set","maxItems":10,"items":{"type":"string","maxLength":10}},
    "map":{"type":"object","maxProperties":5,"additionalProperties":{"type":"integer"}},
    "list":{"type":"array","maxItems":5,"items":{"type":"object","properties":{"k":{"type":"string"},"v":{"type":"integer"}}}}
}}"#;
const OBJECT: &str = r#"{"replicas":3,"min":1,"max":5,"ratio":0.5,"name":"web-1","when":"2024-05-01T12:30:00Z",
    "span":"1h30m","any":"50%","a-b":"x","names":["a","b","c"],"set":["y","x"],"map":{"one":1,"two":2},
    "list":[{"k":"p","v":1},{"k":"q","v":2}]}"#;

fn holds(rule: &str) -> Result<bool, String> {
    let compiled = Compiled::new("cel-tests", "t/v1", "T", SCHEMA.as_bytes()).unwrap();
    let schema = compiled.schema();
    let node = Node::parse(OBJECT.as_bytes()).unwrap();
    let program = Program::parse(rule)?;
    let own = Type::of(schema, true).unwrap();
    check(&program, rule, vec![("self".into(), own)])?;
    let names = vec![("self".to_owned(), Value::of(&node, Some(schema)))];
    evaluate(&program, names, &mut Meter::default()).map_err(|f| format!("{f:?}"))
}

#[test]
fn time_zones_have_names() {
    let holds = |text: &str| {
        let program = Program::parse(text).unwrap();
        evaluate(&program, Vec::new(), &mut Meter::default())
    };
    let summer = "timestamp('2024-07-01T12:00:00Z')";
    assert_eq!(
        holds(&format!("{summer}.getHours('America/New_York') == 8")),
        Ok(true)
    );
    assert_eq!(
        holds(&format!("{summer}.getHours('Europe/Berlin') == 14")),
        Ok(true)
    );
    assert_eq!(
        holds(&format!("{summer}.getHours('+01:30') == 13")),
        Ok(true)
    );
    assert_eq!(
        holds(&format!("{summer}.getHours('Middle/Earth') == 1")),
        Err(Failure::Error("unknown time zone Middle/Earth".into()))
    );
}

#[test]
fn rules_that_hold() {
    for rule in [
        "self.min <= self.replicas && self.replicas <= self.max",
        "self.ratio == 0.5",
        "self.name.startsWith('web') && self.name.matches('^[a-z]+-[0-9]$')",
        "self.names.all(n, size(n) == 1) && self.names.exists(n, n == 'b') && self.names.exists_one(n, n == 'c')",
        "self.names.map(n, n + '!').join(',') == 'a!,b!,c!'",
        "self.names.filter(n, n != 'a') == ['b', 'c']",
        "self.set == ['x', 'y']",
        "'one' in self.map && self.map['two'] == 2 && self.map.all(k, self.map[k] > 0)",
        "self.list.exists(i, i.k == 'q' && i.v == 2)",
        "has(self.name) && !has(self.opt)",
        "self.a__dash__b == 'x'",
        "type(self.any) == string ? self.any == '50%' : self.any == 50",
        "self.when > timestamp('2024-01-01T00:00:00Z') && self.when.getHours() == 12",
        "self.span == duration('90m') && self.span.getMinutes() == 90",
        "size(self.names) == 3 && self.names.size() == 3",
        "[3, 1, 2].max() == 3 && [1, 2].sum() == 3 && [1, 2, 3].isSorted() && ['a', 'b'].indexOf('b') == 1",
        "'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
        "url('https://example.com:80/path?k=v').getHostname() == 'example.com' && isURL('https://a/b')",
        "url('https://example.com:80/p?k=v').getQuery()['k'] == ['v']",
        "quantity('1500m').compareTo(quantity('1.5')) == 0 && quantity('1Gi').isGreaterThan(quantity('1G'))",
        "quantity('2').add(1).asInteger() == 3 && !isQuantity('x')",
        "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && isIP('::1') && !isIP('x')",
        "cidr('192.168.0.0/16').containsCIDR('192.168.1.0/24') && cidr('10.1.0.0/8').masked() == cidr('10.0.0.0/8')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('2.0.0-rc.1').compareTo(semver('2.0.0')) == -1",
        "!format.dns1123Label().validate('my-name').hasValue() && format.dns1123Label().validate('A').hasValue()",
        "'%s has %d'.format(['x', 3]) == 'x has 3' && 'a,b'.split(',') == ['a', 'b'] && 'AbC'.lowerAscii() == 'abc'",
        "optional.of(1).orValue(2) == 1 && self.?opt.orValue('none') == 'none'",
        "sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1])",
        "1 / 0 == 1 || true",
        "b'ab' + b'c' == b'abc' && r'\\d' == '\\\\d'",
    ] {
        assert_eq!(holds(rule), Ok(true), "{rule}");
    }
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for (rule, why) in [
        (
            "self.nope == 1",
            "ERROR: <input>:1:5: undefined field 'nope'",
        ),
        (
            "self.replicas + 'a' == 'b'",
            "found no matching overload for '_+_' applied to '(int, string)'",
        ),
        (
            "self.replicas == 'x'",
            "found no matching overload for '_==_' applied to '(int, string)'",
        ),
        ("foo(1)", "undeclared reference to 'foo'"),
        ("bar == 1", "undeclared reference to 'bar'"),
        ("self.name.matches('[')", "invalid matches argument"),
        ("self.replicas ==", "Syntax error"),
        (
            "self.names.all(n, n)",
            "expected type 'bool' but found 'string'",
        ),
        (
            "self.replicas.all(n, true)",
            "cannot be range of a comprehension",
        ),
    ] {
        let error = holds(rule).unwrap_err();
        assert!(error.contains(why), "{rule}: {error}");
    }
    for (rule, why) in [
        ("self.map['none'] == 1", "no such key: none"),
        ("self.names[7] == 'a'", "index out of bounds: 7"),
        ("self.replicas / 0 == 1", "division by zero"),
        ("9223372036854775807 + self.min > 0", "integer overflow"),
        ("self.opt == 'a'", "no such key: opt"),
        ("self.any > 3", "no such overload"),
    ] {
        assert!(
            holds(rule).unwrap_err().contains(why),
            "{rule}: {:?}",
            holds(rule)
        );
    }
}

#[test]
fn rules_bind_no_names() {
    let why = holds("cel.bind(x, 2, x == 2)").unwrap_err();
    assert!(why.contains("undeclared reference to 'cel'"), "{why}");
}

#[test]
fn hostile_rules_end() {
    let deep = "[1,2,3,4,5,6,7,8,9,10]";
    let mut rule = "true".to_owned();
    for i in 0..8 {
        rule = format!("{deep}.all(v{i}, {rule})");
    }
    assert_eq!(holds(&rule), Err("TooCostly".to_owned()));
    assert!(holds(&"(".repeat(5000)).is_err());
    assert!(holds(&format!("{}true", "!".repeat(5000))).is_err());
}

#[test]
fn costs_are_bounded_by_the_sizes_that_the_schema_allows() {
    let compiled = Compiled::new("cel-costs", "t/v1", "T", SCHEMA.as_bytes()).unwrap();
    let cost = |rule: &str| {
        let own = Type::of(compiled.schema(), true).unwrap();
        let program = Program::parse(rule).unwrap();
        check(&program, rule, vec![("self".into(), own)])
            .unwrap()
            .cost(&program, Some((compiled.schema(), true)))
    };
    assert!(cost("self.replicas > 1") < 10);
    let bounded = cost("self.names.all(n, self.names.exists(m, m == n))");
    assert!((100..2_000).contains(&bounded), "{bounded}");
    assert!(cost("self.opt.matches('a+')") > 100_000);
}
