"""How texts that speak to a model are worded, in many languages: verbs that set aside, what is set aside, and whose it is.

Written without accents and in lower case, as `marks` compares. `_` stands for up to four words, `*` for the rest of a word.
"""

# ruff: noqa: E501 - a pattern is read as one line

from __future__ import annotations

import re

ORDERED: tuple[tuple[str, str, str], ...] = (
    (
        "ignore|disregard|forget|override|bypass|neglect|dismiss|do not follow|don't follow|stop following|do not obey"
        "|pay no attention to|set aside|discard|skip over",
        "previous|prior|above|earlier|preceding|all|any|your|system|initial|original|existing|former|safety|the",
        "instruction|instructions|prompt|prompts|directions|directives|guidelines|programming|system message"
        "|safety rules|rules above|previous rules|your rules|commands above|restrictions|safeguards|training data rules",
    ),
    (
        "ignorier*|vergiss|vergessen sie|missacht*|beachte nicht|befolge nicht|befolgen sie nicht|setze dich uber",
        "vorherig*|bisherig*|obig*|alle*|fruher*|vorangegangen*|vorangehend*|deine*|ihre*|ursprunglich*|die",
        "anweisung*|instruktion*|vorgaben|systemprompt*|prompt*|richtlinien|befehl*",
    ),
    (
        "negeer|vergeet|volg niet",
        "vorige|eerdere|voorgaande|bovenstaande|alle|je|jouw|uw|de",
        "instructies|opdrachten|aanwijzingen|prompt|prompts|systeemprompt",
    ),
    (
        "ignorera|ignorer|ignorér|glom|glem|bortse fran|strunta i|se bort fra",
        "tidigare|foregaende|ovanstaende|alla|tidligere|forrige|alle|dina|dine",
        "instruktion*|instruks*|anvisning*|prompt*|systemprompt*",
    ),
    (
        "zignoruj*|ignoruj*|zapomnij|pomin",
        "poprzedni*|wczesniejsz*|wszystki*|powyzsz*|swoje|twoje",
        "instrukcj*|polecen*|wytyczn*|prompt*",
    ),
    (
        "игнорируй*|проигнорируй*|забудь*|не обращай внимания на|отбрось|не следуй",
        "предыдущ*|прежн*|все|всех|выше*|системн*|свои|своих|твои",
        "инструкц*|указан*|промпт*|распоряжен*",
    ),
    ("unohda|ohita|jata huomiotta|ala noudata", "aiemmat|kaikki|edelliset|ylla olevat", "ohje*|kehot*|maaray*"),
)
"""Languages that say: ignore, the previous, instructions."""

TRAILED: tuple[tuple[str, str, str], ...] = (
    (
        "ignor*|oubli*|neglig*|ne tenez pas compte|ne tiens pas compte|ne tiens plus compte|ne suis pas|ne suivez pas"
        "|fais abstraction",
        "instructions|consignes|directives|invites|regles|ordres|prompt",
        "precedent*|anterieur*|ci-dessus|plus haut|initial*|du systeme|systeme|recues|d'origine|donnees",
    ),
    (
        "ignor*|olvid*|descart*|haz caso omiso|hagan caso omiso|no sigas|desobedec*|pasa por alto",
        "instruccion*|ordenes|indicaciones|reglas|directrices|prompt|prompts",
        "anterior*|previ*|de arriba|del sistema|original*|precedentes|iniciales|dadas",
    ),
    (
        "ignor*|esquec*|desconsider*|desobedec*|nao siga",
        "instruco*|ordens|regras|diretrizes|comandos|prompt|prompts",
        "anterior*|previ*|acima|do sistema|originais|iniciais",
    ),
    (
        "ignor*|dimentic*|trascur*|non seguire|non considerare",
        "istruzion*|regole|direttive|ordini|comandi|prompt",
        "precedent*|anterior*|di cui sopra|sopra|di sistema|originali|iniziali|ricevute",
    ),
)
"""Languages that say: ignore, instructions, previous."""

LAST: tuple[tuple[str, str], ...] = (
    (
        "onceki|yukaridaki|yukarıdaki|tum|butun",
        "talimat* _ (?:yoksay*|yok say*|unut*|gormezden*|dikkate alma*|goz ard*)",
    ),
    ("पिछले|पिछल*|सभी|ऊपर", "निर्देश* _ (?:अनदेखा|नजरअंदाज|नज़रअंदाज़|भूल|उपेक्षा|ध्यान न)"),
)

UNSPACED: tuple[str, ...] = (
    "(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要遵循|不理會).{0,16}(?:指令|指示|说明|提示|提示词|规则|命令|規則|說明)",
    "(?:指示|命令|プロンプト|ルール|指令|設定)(?:.{0,8})(?:無視し|忘れて|忘れろ|従わないで|従うな)",
    "(?:지시|명령|지침|프롬프트|규칙).{0,12}(?:무시|잊어|따르지 마)",
    "(?:تجاهل|تجاهلي|انس|أنس|لا تتبع).{0,30}(?:التعليمات|الأوامر|الاوامر|القواعد|الإرشادات)",
    "(?:התעלם|תתעלם|שכח).{0,30}(?:ההוראות|ההנחיות|הנחיות)",
)

PHRASES: tuple[str, ...] = (
    # taking over
    "you are now (?:dan|in developer mode|jailbroken|free from|no longer bound|an? _ (?:unrestricted|uncensored|unfiltered|evil|hacked))",
    "you are no longer (?:an? ai|bound|an assistant|claude|chatgpt|restricted|a helpful)",
    "from now on,? (?:you|the assistant|the model) (?:must|will|shall|should|are to|only)? ?(?:always |only )?"
    "(?:act as|respond|answer|reply|obey|behave as|comply|ignore|pretend|output)",
    "(?:developer|god|admin|root|debug|dan) mode (?:enabled|activated|is on|is now|unlocked|engaged)",
    "do anything now",
    "(?:act|behave|respond|answer) as (?:if|though) you (?:have|had|are|were) (?:no|not|without|free) _ (?:restrict*|rules|filter*|limit*|guideline*|bound)",
    "pretend (?:that )?(?:you|to) (?:have no|are not|be an? unrestricted|be dan|have been freed|are an? (?:unrestricted|evil))",
    "(?:new|updated|revised|real|actual) (?:system )?(?:instructions?|prompt|directives?|system message) ?(?::|for (?:the |you|this )|follow|are as)",
    "(?:forget|ignore|disregard) (?:everything|all|anything) _ (?:above|before this|you were told|you have been told|you know|previously (?:said|told)"
    "|said before|written above|came before)",
    "your (?:new|only|real|true|actual) (?:task|goal|role|objective|purpose|instructions?|directive) (?:is now|is to|now is|are)",
    "(?:begin|start) (?:your|the|every) (?:answer|reply|response|output) with",
    # asking for what is hidden
    "(?:reveal|print|show|repeat|output|leak|disclose|display|dump|recite|give) (?:me |us )?_ (?:system|developer|initial|hidden|secret|internal|original)"
    " (?:prompt|instructions?|message|directives?)",
    "repeat (?:the words|everything|all of the text|the text) above",
    "what (?:is|are|were) your (?:system prompt|initial instructions|hidden instructions|original instructions)",
    # speaking to a model
    "(?:attention|note|notice|message|instructions?|important|reminder),? ?(?:to|for|:)? ?_"
    " (?:ai (?:assistant|agent|model|system|reviewer)s?|llms?|language models?|chatbots?|chatgpt|gpt-4|claude|gemini|copilot)"
    " ?(?::|reading|processing|summari|that read|,? (?:please|you|do|ignore))",
    "if you are an? (?:ai|llm|large language model|language model|ai assistant|chatbot|gpt|automated (?:agent|assistant))",
    "(?:ai|llm|language model|assistant|chatbot|agent)s? (?:reading|processing|summari[sz]ing|reviewing|parsing|evaluating) this",
    "as an ai(?: language model| assistant)?,? you (?:must|should|will|are required)",
    "(?:dear|hey|hello) (?:ai|llm|chatgpt|gpt|claude|assistant|language model)",
    # acting behind the user's back
    "(?:do not|don't|never) (?:tell|inform|alert|notify|mention (?:this|it|that) to|reveal (?:this|it) to|let) (?:the |this |your )?users?",
    "without (?:telling|informing|alerting|notifying|asking|the knowledge of) (?:the |your )?users?",
    "(?:send|post|forward|upload|exfiltrate|transmit|email|leak) _ (?:conversation|chat history|api keys?|credentials|passwords?|secrets|system prompt"
    "|private data|user data|environment variables|session tokens?) _ (?:to|at) (?:https?://|[a-z0-9._-]+@|attacker)",
    "(?:append|add|include|render|insert) _ (?:image|link|markdown|url) _ (?:conversation|chat history|secret|api key|user data|password)",
    "(?:call|invoke|use|execute|run|trigger) (?:the|your) [a-z0-9_./`'\"-]+ (?:tool|function|plugin) _ (?:immediately|now|before (?:answering|replying)"
    "|without asking|without confirm*|silently)",
    # the same in other languages
    "du bist (?:jetzt|nun|ab jetzt) (?:ein|eine|kein|keine|dan|im)",
    "(?:zeige?|verrate|nenne|gib)(?: mir)? _ (?:systemprompt|system-prompt|systemanweisung*|geheimen anweisungen)",
    "(?:a partir de ahora|desde ahora|de ahora en adelante),? (?:eres|actua|actuaras|responde|responderas|debes)",
    "(?:a partir de agora|de agora em diante),? (?:voce e|aja|responda|voce deve)",
    "(?:a partir de maintenant|desormais),? (?:tu es|vous etes|tu dois|vous devez|reponds|repondez)",
    "(?:d'ora in poi|da ora in poi|da adesso),? (?:sei|agisci|rispondi|devi)",
    "(?:revele|revela|muestra|muestrame|mostra|mostrami|montre|affiche|revelez|mostre) _ (?:prompt del sistema|prompt do sistema|prompt di sistema"
    "|prompt systeme|invite systeme|instrucciones ocultas|instructions cachees)",
    "(?:теперь ты|с этого момента ты) (?:должен|будешь|являешься|не|отвечай|действуй|свободн*|dan)",
    "(?:покажи|раскрой|выведи|сообщи) _ (?:системный промпт|системные инструкции|системную инструкцию|системное сообщение)",
    "(?:现在你是|你现在是|从现在开始你|從現在開始你|你不再是)",
    "(?:显示|输出|告诉我|泄露|顯示|重复).{0,8}(?:系统提示|系統提示|系统指令|隐藏指令)",
    "(?:システムプロンプト|隠された指示)を.{0,6}(?:表示|出力|教え|明かし)",
    "(?:これからあなたは|あなたは今から)",
    "(?:지금부터 당신은|지금부터 너는|이제부터 너는)",
    "시스템 프롬프트.{0,6}(?:출력|보여|알려|공개)",
)


def patterns() -> list[str]:
    """Give the patterns (RE2) of all of these, for a text of single spaces."""
    made = [f"(?:{a}) _ (?:{b}) _ (?:{c})" for a, b, c in ORDERED]
    made += [f"(?:{a}) _ (?:{b}) _ (?:{c})" for a, b, c in TRAILED]
    made += [f"(?:{a}) _ {b}" for a, b in LAST]
    words = [rf"(?:^|[^\pL\d])(?:{_written(one)})" for one in [*made, *PHRASES]]
    return [*words, *UNSPACED]


def _written(pattern: str) -> str:
    gaps = re.sub(r"_ ", r"(?:[^ ]{1,24} ){0,4}", pattern.replace("[a-z0-9_./", "[a-z0-9\x00./"))
    return gaps.replace("*", "[\\pL\\pM]*").replace("\x00", "_")
