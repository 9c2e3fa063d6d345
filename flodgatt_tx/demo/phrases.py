"""
What people say in the demonstration: data only, in the languages that they speak.

`#word` becomes a hashtag, `https://…` a link and `:ferret:` a custom emoji.
"""

PHRASES: dict[str, tuple[str, ...]] = {
    "en": (
        "Good morning! Rain again, so #tea and a book it is ☔",
        "Is anybody else watching the #football tonight?",
        "I finally fixed that race condition. It was a missing `await`. #programming",
        "A fox walked through the garden just now 🦊 #wildlife",
        "The spider on my bicycle has been given a name. #wildlife",
        "Reading https://example.org/flood-gates and learning a lot.",
        "Today I learned that <b> & friends are escaped here. :ferret:",
        "Caturday is a state of mind #caturday",
    ),
    "de": (
        "Guten Morgen aus Köln, der Dom steht noch. #köln",
        "Heute Abend Fußball, und das bei dem Wetter ⚽",
        "Das Straßenfest fällt aus: zu viel Größe, zu wenig Gemüse. 🥕",
        "Neues aus dem Antiquariat: https://example.org/bücher #bücher",
        "Kaffee ist fertig ☕ #kaffee",
        "Ein Igel im Garten! #wildlife",
    ),
    "is": (
        "Það er að koma vetur á Íslandi ❄️ #ísland",
        "Góðan daginn! Hver ætlar í sund í dag? #sund",
        "Norðurljósin voru ótrúleg í nótt. #norðurljós",
        "Þetta reddast.",
        "Lundinn er kominn aftur 🐧 #wildlife",
    ),
    "ja": (
        "おはようございます。今日もいい天気ですね ☀️",
        "猫がキーボードの上で寝ています。#猫 #caturday",
        "今夜のサッカー、楽しみです！ #サッカー",
        "写真を撮りに京都へ行きました。#写真 #京都",
        "ラーメン・餃子・ビール 🍜 #ラーメン・餃子",
    ),
    "ar": (
        "صباح الخير من القاهرة ☀️ #القاهرة",
        "قرأت اليوم كتابًا جميلًا عن البحر. #كتب",
        "القهوة أولًا، ثم كل شيء آخر ☕ #قهوة",
        "هل شاهد أحد مباراة الأمس؟",
    ),
    "hi": (
        "सुप्रभात! आज मौसम बहुत सुहाना है 🌤️",
        "मैं #हिन्दी में लिखती हूँ, क्योंकि यह मेरी भाषा है।",
        "चाय और पकौड़े, बस और क्या चाहिए ☕ #चाय",
        "फ़िल्म का समापन मत बताना! #फ़िल्म",
    ),
    "pt": (
        "Bom dia, Lisboa! O elétrico já passou 🚋 #lisboa",
        "Há uma aranha na cozinha. Mudei de casa.",
        "Alguém conhece um bom livro de ficção científica? #livros",
        "Vi dois golfinhos no Tejo 🐬 #wildlife",
        "Pastéis de nata acabados de fazer 😋 #cozinha",
    ),
    "es": (
        "¡Buenos días! Hoy toca paseo por la montaña ⛰️ #montaña",
        "¿Quién más está aprendiendo a programar? #programación",
        "Un zorro cruzó el camino esta noche 🦊 #wildlife",
        "Mañana habrá concierto en la plaza 🎶 #música",
    ),
}
WARNINGS: dict[str, tuple[str, ...]] = {
    "en": ("spoiler for the last episode", "food", "long post about trains"),
    "de": ("Essen", "Politik"),
    "is": ("matur",),
    "ja": ("ネタバレ",),
    "ar": ("طعام",),
    "hi": ("फ़िल्म का राज़",),
    "pt": ("comida",),
    "es": ("comida",),
}
DESCRIPTIONS: dict[str, tuple[str | None, ...]] = {
    "en": ("A grey cat asleep in a cardboard box", "The sea, early in the morning", None),
    "de": ("Ein Regal voller alter Bücher", None),
    "is": ("Norðurljós yfir firði",),
    "ja": ("窓辺で眠る猫", "桜並木", None),
    "ar": ("غروب الشمس على النيل",),
    "hi": ("मिट्टी के कुल्हड़ में चाय",),
    "pt": ("Um elétrico amarelo a subir a rua", None),
    "es": ("Una montaña con nieve",),
}
POLLS: dict[str, tuple[str, ...]] = {
    "en": ("Tea", "Coffee", "Football"),
    "de": ("Ja", "Nein", "Vielleicht"),
    "is": ("Já", "Nei"),
    "ja": ("猫", "犬"),
    "ar": ("شاي", "قهوة"),
    "hi": ("चाय", "कॉफ़ी"),
    "pt": ("Sim", "Não"),
    "es": ("Mar", "Montaña"),
}
