"""Words too common to search by, of each language whose stems are known; written without accents, as they are compared."""

from __future__ import annotations

from functools import lru_cache

STEMMERS: dict[str, str] = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""PyStemmer's names of the languages that are told apart."""

_LISTS: dict[str, str] = {
    "en": "a about above after again against all also am an and any are as at be because been before being below "
    "between both but by can cannot could did do does doing down during each few for from further had has have "
    "having he her here hers herself him himself his how i if in into is it its itself just me more most my myself "
    "no nor not now of off on once only or other our ours out over own same she should so some such than that the "
    "their theirs them then there these they this those through to too under until up upon very was we were what "
    "when where which while who whom whose why will with would you your yours "
    "dont doesnt didnt isnt arent wasnt werent cant couldnt wouldnt shouldnt wont im ive youre theyre weve "
    "youve thats whats theres eg ie",
    "de": "aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da dabei damit danach "
    "dann das dass dein deine dem den denen der deren des dessen die dies diese diesem diesen dieser dieses dir doch "
    "dort du durch ein eine einem einen einer eines er es etwas euch euer eure fur gegen gehabt hab habe haben hat "
    "hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in indem ins ist ja jede jedem jeden "
    "jeder jedes jetzt kann kein keine keinem keinen keiner konnen konnte man mein meine mich mir mit muss mussen nach "
    "nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so solche soll "
    "sollte sondern uber um und uns unser unsere unter vom von vor war waren warum was weil welche welchen welcher "
    "wenn werde werden wie wieder will wir wird wo wurde wurden zu zum zur zwischen",
    "fr": "ai ainsi alors apres au aucun aucune aussi autre autres aux avait avant avec avoir bien car ce cela celle "
    "celles celui ces cet cette ceux chaque chez comme comment dans de depuis des deux donc dont du elle elles en "
    "encore entre est et etaient etait etre eu eux fait faut il ils je la le les leur leurs lors lui ma mais me meme "
    "memes mes moi moins mon ne ni nos notre nous on ont ou par parce pas pendant peu peut plus pour pourquoi quand "
    "que quel quelle quelles quels qui sa sans se selon sera ses si soit son sont sous sur ta te tes toi ton tous tout "
    "toute toutes tres tu un une vers voici vos votre vous y cest jai lorsque puisque quoi dun dune quil quelle qu",
    "es": "a al algo algunas algunos ante antes aqui asi aun aunque cada como con contra cual cuales cuando de del "
    "desde donde dos el ella ellas ellos en entre era eran es esa esas ese eso esos esta estaba estan estar estas este "
    "esto estos fue fueron ha habia han hasta hay la las le les lo los mas me mi mis mucho muy nada ni no nos nosotros "
    "nuestra nuestro o os otra otras otro otros para pero poco por porque pues que quien quienes se sea ser si sido "
    "sin sobre son su sus tambien tan tanto te tiene tienen todo todos tu tus un una unas uno unos usted y ya yo",
    "it": "a abbiamo agli ai al alla alle allo anche ancora avere aveva c che chi ci come con contro cosi cui da dagli "
    "dai dal dalla dalle dallo degli dei del dell della delle dello di dopo dove due e ed era erano essere fra gli ha "
    "hai hanno ho i il in io l la le lei li lo loro lui ma me mentre mi mia mio molto ne negli nei nel nell nella nelle "
    "nello noi non nostra nostro o ogni per perche piu poi prima qual quale quali quando quanto quella quelle quelli "
    "quello questa queste questi questo qui se sei senza si sia siamo sono sopra sotto stata stato su sua sue sugli "
    "sui sul sull sulla sulle suo suoi tra tu tutti tutto un una uno vi voi",
    "pt": "a ao aos aquela aquele aquilo as ate com como da das de dela dele deles depois do dos e ela elas ele eles em "
    "entre era eram essa essas esse esses esta estao estar estas estava este estes eu foi foram ha isso isto ja lhe "
    "lhes mais mas me mesmo meu meus minha muito na nao nas nem no nos nossa nosso num numa o os ou para pela pelas "
    "pelo pelos por porque qual quais quando que quem sao se seja sem ser sera seu seus so sobre sua suas tambem te tem "
    "tinha tudo um uma umas uns voce voces",
    "nl": "aan al alle alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een en er "
    "ge geen geweest haar had heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je jij jullie kan kon "
    "kunnen maar me meer men met mij mijn moet na naar niet niets nog nu of om omdat onder ons onze ook op over reeds "
    "te tegen toch toen tot u uit uw van veel voor waar waren was wat we wel werd wezen wie wij wil worden wordt zal ze "
    "zelf zich zij zijn zo zonder zou",
    "sv": "alla allt att av blev bli blir da dar de dem den denna dess dessa det detta dig din dina ditt du efter ej "
    "eller en er ett fran for ha hade han har hon hur i icke in inom inte jag ju kan kunde man med mellan men mig min "
    "mina mitt mot mycket nar nagon nagot nagra ni nu och om oss pa samma sedan sig sin sina sitt ska skulle som sa "
    "till under upp ut utan vad var vara vart varfor vem vi vid vilka vilken vilket",
    "da": "af alle at blev blive bliver da de dem den denne der deres det dette dig din dine disse dog du efter eller en "
    "end er et for fra ham han hans har havde hende hendes her hos hun hvad hvem hvis hvor hvordan i ikke ind jeg jer "
    "kan kunne man med meget men mig min mine mod ned noget nogle nar og ogsa om op os over pa sadan sig sin sine skal "
    "skulle som til ud under var ved vi vil ville vor",
    "no": "alle at av ble bli blir da de deg dem den denne der dere deres det dette din disse du eller en er et etter "
    "for fordi fra ha hadde ham han hans har hennes henne her hun hva hvem hver hvilken hvis hvor hvordan hvorfor i "
    "ikke inn jeg kan kunne man med meg mellom men mer min mot na nar noe noen ned og ogsa om opp oss over pa sa seg "
    "selv sin sine skal skulle som til under ut uten var vart ved vi vil ville",
    "fi": "ei eika eli ennen etta han hanen he heidan hyvin ja jo joka jos jossa jota joten kaikki kanssa kuin kuinka "
    "kun me meidan mika miksi mina minun missa mita mutta myos ne niin nyt oli olla olen olet olivat on ovat "
    "sata se seka sen siita siella sina sinun sita tai tama taman tassa te teidan tuo vai vain vaikka voi",
    "pl": "aby ale albo bez by byc byl byla bylo byly bo ci co czy czyli dla do gdy gdzie go i ich ile im ja jak jako "
    "jednak jego jej jest jestem jesli juz kazdy kiedy kto ktora ktore ktorego ktorej ktory ktorych ktorym lub ma mi "
    "mnie moze mozna na nad nas nasz nie nim niz o od on ona one oni oraz po pod przed przez przy sa sie so swoj ta tak "
    "takze tam te tego tej ten to tu tych tylko tym u w we wiec wszystko z za ze zeby",
    "ru": "а без бы был была были было быть в вам вас весь во вот все всего всех вы где да для до его ее если есть еще "
    "же за здесь и из или им их к как какие какой когда кто ли либо меня мне может мой мы на над надо наш не него нее "
    "нет ни них но ну о об однако он она они оно от очень по под после потому при про с свой себя со так также такой "
    "там те тем то того тоже той только том ту ты у уже чего чем что чтобы эта эти это этого этой этом этот я",
    "tr": "ama ancak bana bazi belki ben beni benim bir biri biz bizim bu bunu bunun cok cunku da daha de degil diye en "
    "gibi hangi hem her hic icin ile ise kadar ki kim mi mu nasil ne neden nerede niye o olan olarak oldu ona onlar "
    "onu onun sen siz su tum ve veya ya yani",
}


@lru_cache(1)
def stop_words() -> dict[str, frozenset[str]]:
    """Give the stop words of each language."""
    return {language: frozenset(words.split()) for language, words in _LISTS.items()}
