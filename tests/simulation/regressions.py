"""Every failure that was ever found, as small as it shrank, with one line of why."""

from __future__ import annotations

MENDED: dict[str, str] = {
    "speech that the endpoint never showed to have read was settled when patience ran out: exit 0, words lost": (
        '{"seed":571,"command":"stream","turns":[[610,3031],[1536,1248],[1517,622]],"options":["--retry-for","20",'
        '"--connect-timeout","5","--drain-timeout","3","--chunk-ms","100"],"line":{},"dials":{},'
        '"faults":[{"at":3.48,"kind":"black_hole","lasts":5.0},{"at":9.1,"kind":"black_hole","lasts":5.0}]}'
    ),
    "a final behind one with a guessed end did not say that its own start is a guess": (
        '{"seed":4417,"command":"stream","turns":[[610,373],[300,0]],"options":["--retry-for","60",'
        '"--connect-timeout","5","--drain-timeout","10"],"line":{"jitter":0.5},"dials":{"offsets":"none"}}'
    ),
    "a spool that could not be continued on a full disk was left open": (
        '{"seed":23,"command":"mic","turns":[[233,629]],"options":["--retry-for","20","--connect-timeout","5",'
        '"--drain-timeout","10"],"spool":true,"line":{"latency":0.4},"dials":{},"faults":[{"at":1.18,"kind":"signal",'
        '"value":2},{"at":2.45,"kind":"signal","value":2},{"at":3.34,"kind":"disk_full","lasts":30.0}]}'
    ),
    "a reader that left after the run had failed made the exit code 0, and the summary said 6": (
        '{"seed":2325,"command":"stream","turns":[[628,628]],"options":["--retry-for","60","--connect-timeout","5",'
        '"--drain-timeout","10"],"line":{"handshake":3.0},"dials":{"updated":"rate","busy":[[429,"1"]]},'
        '"faults":[{"at":4.88,"kind":"reader_gone","lasts":2.0}]}'
    ),
    "a reader that left between two signals made the exit code 0, and the summary said 143": (
        '{"seed":2086,"command":"mic","turns":[[235,609]],"options":["--retry-for","60","--connect-timeout","5",'
        '"--drain-timeout","10"],"line":{"handshake":3.0},"dials":{},"faults":[{"at":0.77,"kind":"signal","value":2},'
        '{"at":1.37,"kind":"reader_gone","lasts":5.0},{"at":3.1,"kind":"signal","value":15}]}'
    ),
    "a kill between a final's record and that of its mark: the words came again under another number": (
        '{"seed":291,"turns":[[646,350],[612,350]],"turn_detection":"client","options":["--retry-for","60",'
        '"--connect-timeout","5","--drain-timeout","10","--speed","max"],"spool":true,"line":{"latency":0.0,'
        '"bandwidth":200000.0},"dials":{"spread_s":0.3},"faults":[{"at":0.35,"kind":"kill","value":890}]}'
    ),
    "offsets behind a refused append count without its sound: after a loss, words come twice, not said approx": (
        '{"seed":1412,"command":"pipe","turns":[[622,1208],[149,1242],[4027,614],[610,3046]],"options":["--retry-for",'
        '"60","--connect-timeout","5","--drain-timeout","3","--speed","max"],"line":{"latency":0.1,"bandwidth":80000.0,'
        '"handshake":0.5},"dials":{"refused":[2]},"faults":[{"at":11.78,"kind":"reset","lasts":30.0}]}'
    ),
    "a turn that spans a refused append had the offsets of the endpoint for its place": (
        '{"seed":6056,"turns":[[1533,388]],"options":["--retry-for","20","--connect-timeout","5","--drain-timeout","3",'
        '"--speed","max"],"line":{},"dials":{"updated":"late","refused":[2]}}'
    ),
    "sound that the device lost before a suspend that went beyond --duration took captured back": (
        '{"seed":103299,"command":"mic","turns":[[1519,644]],"options":["--retry-for","60","--connect-timeout","5","--dra'
        'in-timeout","3"],"line":{},"dials":{},"faults":[{"at":0.23,"kind":"device_lost","lasts":0.1},{"at":0.38,"kind":"'
        'sleep","lasts":60.0}]}'
    ),
    "a kill between the record of a hole and its report: the resumed run counted the hole and did not say where": (
        '{"seed":107151,"command":"stream","turns":[[626,350],[4037,350],[627,350]],"options":["--retry-for","60","--conn'
        'ect-timeout","5","--drain-timeout","3"],"spool":true,"line":{},"dials":{"never":0.2},"faults":[{"at":6.5,"kind":'
        '"kill_in_record","value":625}]}'
    ),
    "what an error settled that ended the session was not settled on the tape: all later offsets were shifted": (
        '{"seed":1414,"command":"mic","turns":[[1517,614],[1531,606],[1520,623],[147,1245],[145,647],[626,377],[600,3037]'
        ',[648,641],[132,607],[635,1219],[4017,368]],"turn_detection":"client","options":["--retry-for","60","--connect-t'
        'imeout","5","--drain-timeout","3","--chunk-ms","100","--catch-up","1"],"line":{},"dials":{"final_s":0.5,"lifetim'
        'e_s":4.0,"announced":false,"ending":"error"}}'
    ),
    "held up for longer than its patience, rt gave up finals that waited to be read": (
        '{"seed":204675,"turns":[[1536,1245],[1511,40113]],"options":["--retry-for","60","--connect-timeout","5","--dra'
        'in-timeout","3","--speed","max"],"line":{"handshake":0.5},"dials":{"final_s":2.0,"serial":true},"faults":[{"at'
        '":1.92,"kind":"stall","lasts":7.0}]}'
    ),
    "held up after a reconnect: the words of the turns behind the first were lost, and no hole said so": (
        '{"seed":203755,"turns":[[649,645],[646,1209]],"before_ms":1000,"options":["--retry-for","20","--connect-timeou'
        't","5","--drain-timeout","3","--speed","max"],"line":{"latency":0.1,"bandwidth":200000.0,"handshake":0.5},"dia'
        'ls":{"created_s":0.5,"final_s":2.0,"serial":true},"faults":[{"at":2.28,"kind":"reset","lasts":30.0},{"at":6.5,'
        '"kind":"stall","lasts":7.0}]}'
    ),
    "a refusal that comes long behind the pong of its sound, while more is sent: the hole lies behind the words": (
        '{"seed":53,"command":"pipe","turns":[[142,633],[4040,362]],"turn_detection":"client","options":["--retry-for","6'
        '0","--connect-timeout","5","--drain-timeout","10","--speed","max"],"line":{},"dials":{"serial":true,"refused":[4'
        ",8]}}"
    ),
    "a search before the endpoint told of speech took the end of its piece for that of the sound: silence committed": (
        '{"seed":1059,"command":"stream","turns":[[648,3011]],"before_ms":100,"options":["--retry-for","60","--connect-ti'
        'meout","5","--drain-timeout","10"],"spool":true,"line":{"jitter":0.05,"bandwidth":200000.0},"dials":{"updated":"'
        'late","invents":true},"faults":[{"at":1.92,"kind":"signal","value":2},{"at":2.63,"kind":"kill_in_record","value"'
        ':946},{"at":2.8,"kind":"disk_slow","lasts":2.0},{"at":7.32,"kind":"black_hole","lasts":5.0}]}'
    ),
    "the rest of a word at the start of a resumed run was too short for our detector: in no final and in no hole": (
        '{"seed":121107,"turns":[[4025,647]],"turn_detection":"client","options":["--retry-for","20","--connect-timeout",'
        '"5","--drain-timeout","10","--speed","max","--chunk-ms","200"],"spool":true,"line":{"buffer":65536,"handshake":0'
        '.5},"dials":{"deltas":"many","final_s":0.5,"serial":true,"announced":false,"one_session":1013},"faults":[{"at":0'
        '.22,"kind":"kill","value":699},{"at":0.37,"kind":"signal","value":15},{"at":0.61,"kind":"signal","value":2},{"at'
        '":4.06,"kind":"signal","value":2}],"thread_delay":0.02}'
    ),
    "the rest of a word at the start of a resumed run was said to lie in the turn behind it": (
        '{"seed":121428,"turns":[[4001,371],[612,385],[242,3018],[143,3041],[205,3039],[638,639],[635,625],[1525,645],[22'
        '7,1248]],"turn_detection":"client","options":["--retry-for","20","--connect-timeout","5","--drain-timeout","3","'
        '--speed","max","--chunk-ms","100","--catch-up","4","--partials"],"spool":true,"line":{"bandwidth":80000.0,"buffe'
        'r":65536},"dials":{"deltas":"none","created_s":0.5,"final_s":0.0,"ending":"silent","one_session":429},"faults":['
        '{"at":0.92,"kind":"signal","value":2},{"at":6.03,"kind":"silent_loss","lasts":30.0},{"at":10.42,"kind":"refuse",'
        '"lasts":12.0},{"at":12.48,"kind":"reader_slow","lasts":5.0},{"at":16.49,"kind":"disk_slow","lasts":2.0},{"at":23'
        '.04,"kind":"signal","value":15}]}'
    ),
    "a refusal that waited for words, with the answer to a commit behind it: its turn was settled before the hole": (
        '{"seed":26593,"command":"mic","turns":[[612,350],[623,350],[600,350]],"turn_detection":"client","options":["--ret'
        'ry-for","20","--connect-timeout","5","--drain-timeout","10","--chunk-ms","200"],"line":{},"dials":{"spread_s":2.0'
        ',"serial":true,"refused":[8]}}'
    ),
    "a refusal that waited for words, and came while our commit had no answer: taken for that of the commit": (
        '{"seed":66332,"command":"pipe","turns":[[1520,1240],[646,619],[639,112],[636,1239],[211,641],[1512,374],[1000,0]]'
        ',"options":["--retry-for","60","--connect-timeout","5","--drain-timeout","10","--speed","max"],"line":{},"dials":'
        '{"serial":true,"refused":[11]}}'
    ),
    "an endpoint that tells of the last speech only behind the words before it: the silence behind it was committed": (
        '{"seed":424853,"command":"pipe","turns":[[122,614],[205,363]],"options":["--retry-for","60","--connect-timeout","'
        '5","--drain-timeout","3","--speed","max"],"line":{},"dials":{"final_s":2.0,"serial":true,"invents":true}}'
    ),
    "one id for all, and a turn that starts as long after the last commit as the one before: its failure was no hole": (
        '{"seed":16876,"command":"mic","turns":[[600,350],[631,350],[1522,350]],"options":["--retry-for","60","--connect-t'
        'imeout","5","--drain-timeout","10"],"line":{},"dials":{"ids":"one","offsets":"buffer","failed":0.2},"faults":[{"a'
        't":3.41,"kind":"signal","value":2}]}'
    ),
    "a refusal of a commit whose answer was no longer expected: the sound of an open turn was a hole": (
        '{"seed":301530,"command":"pipe","turns":[[4016,641],[1000,0]],"options":["--retry-for","60","--connect-timeout'
        '","5","--drain-timeout","10","--speed","max"],"line":{},"dials":{"commits":"refused","final_s":2.0,"serial":tr'
        "ue}}"
    ),
    "an outage right behind a hand-over had no retries: only a lost connection began the time for them": (
        '{"seed":5255,"command":"mic","turns":[[246,650],[700,650],[700,650],[246,650],[700,650],[700,650],[246,650],[7'
        '00,650],[700,650],[246,650],[700,650],[700,650],[246,650],[700,650]],"silence_ms":500,"options":["--retry-for"'
        ',"20","--connect-timeout","5","--drain-timeout","10","--chunk-ms","200"],"line":{"latency":0.1,"jitter":0.05,"'
        'bandwidth":80000.0,"buffer":65536},"dials":{"lifetime_s":10.0,"one_session":1013},"faults":[{"at":17.56,"kind"'
        ':"black_hole","lasts":2.0}]}'
    ),
    "with --turn-detection none, speech that had made room for newer sound was never committed": (
        '{"seed":401149,"command":"mic","turns":[[1537,3031],[4045,3007]],"before_ms":1000,"turn_detection":"none","sil'
        'ence_ms":500,"options":["--retry-for","20","--connect-timeout","5","--drain-timeout","3","--chunk-ms","100","-'
        '-max-session","8","--on-full","drop-oldest","--catch-up","4"],"text":true,"line":{"latency":0.1,"bandwidth":80'
        '000.0,"buffer":4194304,"handshake":3.0},"dials":{},"thread_delay":0.001,"memory_s":2.0}'
    ),
    "the end of the sound was given up while the network was silent, not the endpoint": (
        '{"seed":401016,"turns":[[615,650],[110,650],[700,650],[110,650]],"options":["--retry-for","60","--connect-time'
        'out","5","--drain-timeout","3","--speed","1"],"line":{"buffer":65536,"handshake":0.5},"dials":{"announced":fal'
        'se,"ending":"error"},"faults":[{"at":3.52,"kind":"silent_loss","lasts":2.0}],"thread_delay":0.02}'
    ),
    "the last words were given up on a dead connection, just before it was found to be dead": (
        '{"seed":402479,"command":"pipe","turns":[[623,638],[209,379],[148,3020],[110,0]],"turn_detection":"client","si'
        'lence_ms":500,"options":["--retry-for","20","--connect-timeout","5","--drain-timeout","10","--speed","max"],"l'
        'ine":{"latency":0.0,"bandwidth":80000.0,"buffer":4194304,"handshake":0.5},"dials":{"deltas":"none","final_s":0'
        '.5,"spread_s":2.0,"doubled":0.3},"faults":[{"at":5.49,"kind":"silent_loss","lasts":0.3}]}'
    ),
}
"""Why it failed once, and the scenario: it must not fail again."""

OPEN: dict[str, str] = {
    "without offsets, an endpoint that tells of speech late: the last commit is one of silence": (
        '{"seed":206607,"command":"mic","turns":[[1510,628],[1545,143],[4015,394],[300,0]],"options":["--retry-for","60'
        '","--connect-timeout","5","--drain-timeout","10","--chunk-ms","1000"],"line":{},"dials":{"offsets":"none","ser'
        'ial":true,"invents":true}}'
    ),
}
"""Failures that are known and not mended; the seeds of the short test draw none. Once mended, they go to the others."""
